"""The database that the benchmark of the REST interface asks: parts of the sample MES, migrated."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from plant import Server
from psycopg import sql

from dotpeen.database import connect
from dotpeen.demo import sample
from dotpeen.demo.run import registry_text

SAMPLES: Final = 20_000
"""Parts that are asked for, in random order; fewer when there are fewer."""
OTHERS: Final = 1_000
"""Rows of each other table."""
INTERNAL_TOKEN: Final = secrets.token_urlsafe(24)
"""Opens the internal routes."""
SETTINGS: Final = '[api]\ninternal_token = "env:DOTPEEN_BENCHMARK_TOKEN"\n'
"""What is appended to the registry."""
ENVIRONMENT: Final = {"DOTPEEN_BENCHMARK_TOKEN": INTERNAL_TOKEN}
"""What it refers to."""
COLUMNS: Final = (
    "persistentUuid",
    "partNumber",
    "description",
    "materialType",
    "status",
    "createdAt",
    "updatedAt",
)
"""What every server answers with."""
_SEED: Final = 20_251_031


@dataclass(frozen=True)
class Part:
    """A part as the database has it, to compare answers with."""

    id: str
    values: dict[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.values["persistentUuid"])

    @property
    def number(self) -> str:
        return str(self.values["partNumber"])


@dataclass(frozen=True)
class Parts:
    """A database of parts."""

    server: Server
    name: str
    rows: int
    registry: Path
    samples: tuple[Part, ...]

    @property
    def url(self) -> str:
        return self.server.tcp_url(self.name)


def build(server: Server, name: str, rows: int, folder: Path, say: Callable[[str], None]) -> Parts:
    """Make the database: `rows` parts with UUIDs that are unique and required, vacuumed and analysed."""
    started = time.monotonic()
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    counts = dict.fromkeys(sample.TABLES, OTHERS) | {"Part": rows}
    with connect(server.url(name), purpose="benchmark") as connection:
        sample.create_schema(connection)
        # A real plant has 125 records for each part, which nobody asks for here.
        with patch.object(sample, "distribute", lambda _rows: counts):
            sample.fill(connection, rows)
    registry = folder / f"{name}.toml"
    # The peers answer with these two as well, so all bodies are alike.
    exposed = 'expose = ["description", "materialType", "status"'
    text = registry_text()
    assert text.count(exposed) == 1
    text = text.replace(exposed, f'{exposed}, "createdAt", "updatedAt"')
    registry.write_text(text.replace("[api]\n", SETTINGS, 1), encoding="utf-8")
    dotpeen(registry, server.url(name), "migrate", "up", "--phase", "1")
    with server.connect(name) as connection:
        _require_enforced(connection)
        for table in sample.TABLES:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
        connection.execute("CHECKPOINT")
        samples = _samples(connection)
    say(f"{name}: {rows:,} parts, {len(samples):,} to ask for, {time.monotonic() - started:.0f} s")
    return Parts(server, name, rows, registry, samples)


def dotpeen(registry: Path, url: str, *arguments: str) -> str:
    """Run a command of this project and return what it printed."""
    done = subprocess.run(
        dotpeen_command(registry, url, *arguments),
        cwd=registry.parent,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ENVIRONMENT},
    )
    if done.returncode:
        raise SystemExit(f"dotpeen {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def dotpeen_command(registry: Path, url: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "dotpeen", "-r", str(registry), "--database-url", url, *arguments)


def _samples(connection: Any) -> tuple[Part, ...]:
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    keys = [key for (key,) in connection.execute('SELECT "id" FROM "Part" ORDER BY "id"')]
    chosen = random.Random(_SEED).sample(keys, min(SAMPLES, len(keys)))
    query = sql.SQL('SELECT "id", {} FROM "Part" WHERE "id" = ANY(%s)').format(columns)
    found = {
        key: Part(key, dict(zip(COLUMNS, values, strict=True)))
        for key, *values in connection.execute(query, [chosen])
    }
    return tuple(found[key] for key in chosen)


def _require_enforced(connection: Any) -> None:
    required, unique = connection.execute(
        "SELECT a.attnotnull, EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisunique"
        " AND i.indisvalid AND i.indkey::text = a.attnum::text) FROM pg_attribute AS a"
        " WHERE a.attrelid = to_regclass('\"Part\"') AND a.attname = 'persistentUuid'"
    ).fetchone()
    assert required, 'the column "persistentUuid" is not required'
    assert unique, 'the column "persistentUuid" is not unique'
