"""A migration as a script: sections of blocks that psql and Alembic can both run. Pure data, no file format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Final

from psycopg import sql

from dotpeen.errors import ConfigurationError
from dotpeen.migration.fill import Fill
from dotpeen.migration.ranges import unit_text
from dotpeen.migration.sql import literal, table_identifier
from dotpeen.registry import MigrationSettings, TableName

LOWER: Final = "$1"
UPPER: Final = "$2"
_SENTINEL: Final = "dotpeen bound {} {}"


_SCHEMA: Final = """DO $dotpeen_schema$
DECLARE
    revision text := '';
BEGIN
IF pg_catalog.to_regclass('dotpeen.alembic_version') IS NOT NULL THEN
    SELECT version_num INTO revision FROM dotpeen.alembic_version;
END IF;
{parts}END
$dotpeen_schema$"""
_FIRST: Final = """CREATE SCHEMA IF NOT EXISTS dotpeen;
CREATE TABLE dotpeen.alembic_version (
    version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
);
INSERT INTO dotpeen.alembic_version VALUES ({});
"""


@dataclass(frozen=True)
class Block:
    """Statements that belong together, with what a reviewer asks about them."""

    title: str
    statements: tuple[str, ...]
    notes: tuple[str, ...] = ()
    pending: str | None = None
    """A query of one boolean: run the block only when it is true."""
    transaction: bool = False
    """All statements in one transaction; otherwise each for itself, outside of any."""


@dataclass(frozen=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: tuple[Block, ...]


def composed(form: str, *values: sql.Composable, **named: sql.Composable) -> str:
    """Fill `{}` of an SQL form with quoted pieces."""
    return sql.SQL(form).format(*values, **named).as_string()


def raw(text: str) -> sql.SQL:
    """A piece that was composed before."""
    return sql.SQL(text)


def dollar_quoted(text: str) -> str:
    """Quote a text for SQL so that it stays readable."""
    tag = "$sql$"
    number = 0
    while tag in text:
        number += 1
        tag = f"$sql{number}$"
    return f"{tag}{text}{tag}"


def session_blocks(settings: MigrationSettings) -> tuple[Block, ...]:
    """The blocks that set the session up: gentleness, then settings."""
    chosen = {
        "lock_timeout": _interval(settings.lock_timeout),
        "lock_patience": _interval(settings.lock_patience),
        "batch_target": _interval(settings.batch_target),
        "batch_min": str(settings.batch_min),
        "batch_max": str(settings.batch_max),
        "batch_pause": "0 ms",
    }
    statements = tuple(f"SET dotpeen.{name} = '{value}'" for name, value in chosen.items())
    return (
        Block(
            "How gently: change it here",
            statements,
            (
                "lock_timeout: longest that a schema change makes others queue behind it, per attempt",
                "lock_patience: how long it keeps trying; batch_target: what one batch of rows should take",
                "batch_pause: rest after each batch. Only `dotpeen migrate up` watches replication lag and load",
            ),
        ),
        Block("Settings of this session", (_resource("settings"),)),
    )


def procedure_blocks(*names: str) -> tuple[Block, ...]:
    """The procedures that the script calls; they live in this session only."""
    return tuple(Block(f"Procedure pg_temp.dotpeen_{name}", (_resource(name),)) for name in names)


def restore_block() -> Block:
    """The block that gives the session back as it was."""
    return Block("The session as it was", (_resource("restore"),))


def alone_block(entity: str, *, begin: bool) -> Block:
    """Take, or give up, the advisory lock that keeps `dotpeen migrate` off an entity's schema."""
    key = f"pg_catalog.hashtextextended({_quoted('dotpeen ' + entity)}, 0)"
    if not begin:
        return Block(
            "Let others work on it",
            (f"DO $dotpeen$\nBEGIN\n  PERFORM pg_catalog.pg_advisory_unlock({key});\nEND\n$dotpeen$",),
        )
    statement = (
        "DO $dotpeen$\nBEGIN\n"
        f"  IF NOT pg_catalog.pg_try_advisory_lock({key}) THEN\n"
        f"    RAISE EXCEPTION '{entity}: another session migrates it' USING HINT = 'Wait until it is done.';\n"
        "  END IF;\nEND\n$dotpeen$"
    )
    return Block("Nobody else works on it", (statement,))


def lock_statement(table: TableName, mode: str, *, only: bool = False) -> str:
    """The call that takes a table lock patiently."""
    name = literal(table_identifier(table).as_string()).as_string()
    return f"CALL pg_temp.dotpeen_lock({name}, '{mode}'{', true' if only else ''})"


def journal_statement(entity: str, stage: str, action: str, lock: str) -> str:
    """The statement that journals a step."""
    return composed(
        "INSERT INTO dotpeen.journal (actor, entity, stage, action, outcome, lock)"
        " VALUES (session_user || ' (exported script)', {}, {}, {}, 'done', {})",
        *map(literal, (entity, stage, action, lock)),
    )


def bounded(fill: Fill, statement: sql.Composed) -> str:
    """Render a statement whose range is `bounds`, with the bounds as jsonb parameters $1 (or NULL) and $2."""
    lower, upper = bounds(fill)
    text = statement.as_string()
    above = fill.keys.compare(">", lower).as_string()
    text = text.replace(above, f"({LOWER}::jsonb IS NULL OR {above})")
    for parameter, key in ((LOWER, lower), (UPPER, upper)):
        for position, value in enumerate(key):
            text = text.replace(literal(value).as_string(), f"({parameter}::jsonb ->> {position})")
    return text


def bounds(fill: Fill) -> tuple[list[str], list[str]]:
    """Stand-ins for the bounds of a range, for `bounded` to replace."""
    count = range(len(fill.keys.names))
    return [_SENTINEL.format("lower", i) for i in count], [_SENTINEL.format("upper", i) for i in count]


def largest(fill: Fill, unit: TableName) -> str:
    """The query for a table's largest key, as a JSON array of texts."""
    return (
        sql.SQL("SELECT pg_catalog.jsonb_build_array({}) FROM {} AS t ORDER BY {} LIMIT 1")
        .format(
            fill.keys.texts(),
            table_identifier(unit),
            sql.SQL(", ").join(
                sql.SQL("{} DESC").format(sql.Identifier("t", name)) for name in fill.keys.names
            ),
        )
        .as_string()
    )


def key_after(fill: Fill, unit: TableName) -> str:
    """The query for the key $3 rows into a range."""
    query = sql.SQL(
        "SELECT pg_catalog.jsonb_build_array({}) FROM {} AS t WHERE {} ORDER BY {} OFFSET $3 LIMIT 1"
    ).format(fill.keys.texts(), table_identifier(unit), fill.keys.within(*bounds(fill)), fill.keys.ordered())
    return bounded(fill, query)


def call(procedure: str, plain: tuple[str, ...], named: dict[str, str]) -> str:
    """A CALL with readable, dollar-quoted statements as its arguments."""
    arguments = [*plain, *(f"{name} => {dollar_quoted(text)}" for name, text in named.items())]
    return f"CALL pg_temp.{procedure}(\n  " + ",\n  ".join(arguments) + "\n)"


def unit_literal(unit: TableName) -> str:
    """A table's name as the bookkeeping writes it, quoted."""
    return _quoted(unit_text(unit))


def schema_block() -> Block:
    """Schema `dotpeen`, made or brought to its newest revision as `dotpeen migrate up` does, in one statement."""
    parts: list[str] = []
    scripts = sorted(
        entry.name for entry in files("dotpeen.database.schema").iterdir() if entry.name.endswith(".sql")
    )
    for script in scripts:
        revision = script.removesuffix(".sql")
        body = files("dotpeen.database.schema").joinpath(script).read_text(encoding="utf-8").strip()
        if "$dotpeen_schema$" in body:
            raise ConfigurationError(f"{script} contains the quote of the exported script")
        start = _FIRST if not parts else "UPDATE dotpeen.alembic_version SET version_num = {};\n"
        number = literal(revision)
        parts.append(
            composed("IF revision < {} THEN\n", number) + composed(start, number) + body + "\nEND IF;\n"
        )
    statement = _SCHEMA.replace("{parts}", "".join(parts))
    return Block(
        "Schema dotpeen: state, journal, ledger of issued UUIDs, functions",
        (statement,),
        (
            "Skipped where it is there already. Lock: none on your tables. Undo: none, it keeps what was issued",
        ),
    )


def _resource(name: str) -> str:
    text = files("dotpeen.migration.emit").joinpath("session.sql").read_text(encoding="utf-8")
    for part in text.split("-- name: ")[1:]:
        title, _, body = part.partition("\n")
        if title.strip() == name:
            return body.strip()
    raise KeyError(name)


def _interval(value: timedelta) -> str:
    return f"{round(value.total_seconds() * 1000)} ms"


def _quoted(value: str) -> str:
    return literal(value).as_string()
