"""The command line: `dotpeen [-r FILE] [--database-url URL] COMMAND`."""

from dotpeen.cli.app import main

__all__ = ["main"]
