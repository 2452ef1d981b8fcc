"""A PostgreSQL server of one test's own, so that it can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dotpeen.database import embedded
from postgres import Run, unprivileged

# A killed process loses nothing that it gave to the operating system: without fsync the test is as hard, and faster.
OPTIONS = "-c fsync=off -c max_connections=80 -c shared_buffers=64MB -c max_wal_size=512MB"


class PrivateServer:
    """Makes a server in `folder`, which the run's guard clears away."""

    def __init__(self, run: Run, name: str, *, primary: PrivateServer | None = None) -> None:
        self._run = run
        self._binaries = run.binaries or embedded.program("pg_ctl").parent
        self._data = run.folder / name
        self._user: dict[str, Any] = {}
        run.watch(self._data)
        self._data.mkdir()
        if os.geteuid() == 0:
            account = unprivileged()
            os.chown(self._data, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        if primary is None:
            self._execute(
                "initdb",
                "--auth=trust",
                "--encoding=UTF8",
                "--username=postgres",
                "--no-sync",
                "-D",
                self._data,
            )
        else:
            self._data.chmod(0o700)
            self._execute(
                "pg_basebackup", "-R", "--no-sync", "-c", "fast", "-d", primary.url, "-D", self._data
            )
            # The primary's socket is in its data directory: the backup has its lock file.
            for leftover in self._data.glob(".s.PGSQL.*"):
                leftover.unlink()
        self.start()

    def standby(self, name: str) -> PrivateServer:
        """Make a streaming replica of this server."""
        return PrivateServer(self._run, name, primary=self)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._data}"

    def database(self, name: str) -> str:
        """Create a database and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://postgres@/{name}?host={self._data}"

    def start(self) -> None:
        options = f"-h '' -k {self._data} {OPTIONS}"
        log = self._data / "log"
        self._execute("pg_ctl", "-w", "-s", "-t", "60", "-D", self._data, "-l", log, "-o", options, "start")

    def kill(self) -> None:
        """SIGKILL everything at once, as a power failure would."""
        postmaster = psutil.Process(self._postmaster())
        everyone = [*postmaster.children(recursive=True), postmaster]
        postmaster.suspend()  # or it would start new children meanwhile
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everyone, timeout=20)

    def kill_backend(self, pid: int) -> None:
        """SIGKILL one session; the server then ends all others and recovers."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def wait(self, url: str, seconds: float = 60) -> None:
        """Return once the server answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            self.kill()

    def _postmaster(self) -> int:
        return int((self._data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def _execute(self, program: str, *arguments: str | Path) -> None:
        output = self._data.parent / f"{self._data.name}.log"
        # To a file: a pipe would be inherited by the server and never close.
        with output.open("ab") as log:
            subprocess.run(
                [str(self._binaries / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data,
                check=True,
                **self._user,
            )
