"""Stop the servers of a test run when the run is over, however it ended.

The controlling process of the run starts this script and keeps its standard input open. That closes when the
process ends, even by SIGKILL; then every server of the run is stopped and the run's folder removed. Imports
little: it starts with every run.
"""

import json
import shutil
import signal
import sys
from pathlib import Path

import psutil
from fasteners import InterProcessLock


def main(folder: Path) -> None:
    """Wait for the end of the run, then clean up."""
    sys.stdin.read()
    # A worker may be starting the server at this moment.
    with InterProcessLock(folder / "lock"):
        servers = folder / "servers"
        if servers.exists():
            for line in servers.read_text(encoding="utf-8").splitlines():
                stop(Path(json.loads(line)))
        shutil.rmtree(folder, ignore_errors=True)


def stop(data: Path) -> None:
    """Stop the server of a data directory at once: nobody needs its data any more."""
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]))
        if process.name().startswith("postgres"):
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
    except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess):
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
