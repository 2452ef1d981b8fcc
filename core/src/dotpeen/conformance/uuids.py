"""The UUID column, where there is one already: its type, its default, its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dotpeen.conformance.finding import Finding, finding, quoted
from dotpeen.database.catalog import Column, Table
from dotpeen.registry.models import MAX_IDENTIFIER, Entity

_GENERATED: Final = re.compile(
    r"\(*(?:[\w\"]+\.)?(gen_random_uuid|uuid_generate_v4|uuidv4|uuidv7|uuid_v7|uuid_generate_v7)\(\)\)*"
    r"(?:::(?:text|character varying))*"
)
_VERSIONS: Final = {
    "gen_random_uuid": 4,
    "uuid_generate_v4": 4,
    "uuidv4": 4,
    "uuidv7": 7,
    "uuid_v7": 7,
    "uuid_generate_v7": 7,
}
_WANTED_DEFAULT: Final = {4: "gen_random_uuid()", 7: "uuidv7(), or dotpeen.uuid_v7() before PostgreSQL 18"}


def uuid_column(entity: Entity, table: Table) -> Iterator[Finding]:
    """Hold the declared UUID column against the one that the table has."""
    uuid = entity.uuid
    column = table.columns.get(uuid.column)
    if len(f"{table.name.name}_{uuid.column}_key".encode()) > MAX_IDENTIFIER:
        yield finding(
            "note",
            entity,
            "uuid.column",
            f"index name {table.name.name}_{uuid.column}_key is over {MAX_IDENTIFIER} bytes: it is shortened",
        )
    if column is None:
        return
    if column.generated:
        yield finding(
            "error",
            entity,
            "uuid.column",
            f"{column.name} is a generated column: it can't be filled once and kept",
            "name another column",
        )
        return
    problem = _type_problem(entity, column)
    if problem is not None:
        yield problem
    elif column.default is not None:
        yield from _default(entity, column)


def _type_problem(entity: Entity, column: Column) -> Finding | None:
    wanted, there = entity.uuid.type, column.type
    if there == wanted:
        return None
    message = f"{column.name} exists as {there}, the registry says {wanted}"
    change = f"ALTER TABLE {quoted(*entity.table)} ALTER COLUMN {quoted(column.name)} TYPE text"
    if there in ("uuid", "text"):
        hint = f'write uuid = {{ column = "{column.name}", type = "{there}" }}'
    elif there.startswith("character varying"):
        hint = f'{change} (a brief lock, nothing is rewritten), and type = "text"'
    elif there.startswith("character("):
        message += "; character(n) compared with text does not use the column's index"
        hint = f'{change} in a quiet hour (the table is rewritten), and type = "text"; or name another column'
    else:
        hint = "name another column"
    return finding("error", entity, "uuid.type", message, hint)


def _default(entity: Entity, column: Column) -> Iterator[Finding]:
    uuid = entity.uuid
    match = _GENERATED.fullmatch(column.default or "")
    made = _VERSIONS[match[1]] if match else None
    if made == uuid.version:
        return
    drop = f"ALTER TABLE {quoted(*entity.table)} ALTER COLUMN {quoted(column.name)} DROP DEFAULT"
    wanted = "no default" if uuid.version == 5 or uuid.type == "text" else _WANTED_DEFAULT[uuid.version]
    hint = drop if made is None or uuid.version == 5 else f"write version = {made}, or {drop}"
    yield finding(
        "error",
        entity,
        "uuid.version",
        f"{column.name} has the default {column.default}: version {uuid.version} wants {wanted}",
        hint,
    )
