"""Run the command line: `python -m dotpeen`."""

from dotpeen.cli import main

if __name__ == "__main__":
    main()
