"""Verify external references: their place, their values, and that a lookup by one is quick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration.model import CheckResult, Reference, Target
from dotpeen.migration.preflight_references import blank
from dotpeen.migration.sql import EntitySql, literal
from dotpeen.migration.stages import index, references
from dotpeen.migration.verification_index import index_used

_NO_VALUE: Final = {"text": "no such value", "uuid": "00000000-0000-0000-0000-000000000000"}


def reference_checks(
    connection: Connection, target: Target
) -> Iterator[tuple[str, Callable[[], CheckResult]]]:
    """Two checks of each reference that an enabled plugin declares."""
    for one in target.declared:
        yield f"{one.name} well formed, never twice", partial(_values, connection, target, one)
        yield f"{one.name} index valid and used", partial(_index, connection, target, one)


def reference_state(target: Target, one: Reference) -> str:
    """Say in a word or two how far a reference is: `ready`, or what is missing."""
    if one.before is None:
        return "not migrated"
    steps = (*references.apply(target), *index.apply(target))
    open_steps = [step for step in steps if one.name in step.references and not step.done]
    if not open_steps:
        return "ready"
    return "no index" if open_steps[0].stage == "index" else "no column"


def _values(connection: Connection, target: Target, one: Reference) -> CheckResult:
    column, source = _place(target, one)
    if source is None:
        return "failed", f"{target.table.name} has no column {one.column}: run `dotpeen migrate up`"
    wrong = blank(column)
    if one.storage == "sidecar" and one.type == "uuid":
        wrong = sql.SQL("({} !~ {})").format(column, literal(CANONICAL_UUID_SQL))
    found = [
        row[0]
        for row in connection.execute(
            sql.SQL("SELECT {c}::text FROM {} WHERE {c} IS NOT NULL AND {} LIMIT 5").format(
                source, wrong, c=column
            )
        )
    ]
    if found:
        return "failed", "malformed: " + ", ".join(map(repr, found))
    rows = connection.execute(
        sql.SQL(
            "SELECT {c}::text, count(*) FROM {} WHERE {c} IS NOT NULL GROUP BY {c} HAVING count(*) > 1 LIMIT 5"
        ).format(source, c=column)
    ).fetchall()
    if rows:
        return "failed", "; ".join(f"{value!r} in {count} rows" for value, count in rows)
    if one.storage == "sidecar" and (orphans := _orphans(connection, target, one)):
        return "failed", f"of records that are gone: {', '.join(orphans)}: run `dotpeen migrate up`"
    row = connection.execute(sql.SQL("SELECT count({}) FROM {}").format(column, source)).fetchone()
    return "ok", f"{row[0] if row else 0:,} records have one"


def _index(connection: Connection, target: Target, one: Reference) -> CheckResult:
    steps = (*references.apply(target), *index.apply(target))
    open_steps = [step.name for step in steps if one.name in step.references and not step.done]
    if open_steps:
        return "failed", f"open: {', '.join(open_steps)}: run `dotpeen migrate up`"
    column, source = _place(target, one)
    if source is None:
        return "failed", "there is no such column"
    value = literal(_NO_VALUE[one.type])
    if one.storage == "sidecar":
        lookup = sql.SQL(
            "SELECT key FROM dotpeen.external_value WHERE entity = {} AND name = {} AND value = {}"
        )
        asked = lookup.format(literal(target.entity.name), literal(one.name), value)
        return index_used(connection, asked, [], "value", by=one.name)
    oids = [target.table.oid, *(part.oid for part in target.parts.values())]
    lookup = sql.SQL("SELECT ctid FROM {} WHERE {} = {}")
    outcome, detail = index_used(
        connection, lookup.format(source, column, value), oids, one.column, by=one.name
    )
    if outcome == "failed" and target.entity.uuid.storage == "sidecar":
        return "note", f"{detail}; the table may not be altered"
    return outcome, detail


def _orphans(connection: Connection, target: Target, one: Reference) -> list[str]:
    rows = connection.execute(
        sql.SQL(
            "SELECT v.value FROM dotpeen.external_value AS v WHERE v.entity = {entity} AND v.name = {name}"
            " AND NOT EXISTS (SELECT FROM {sidecar} AS i WHERE i.entity = {entity} AND i.key = v.key) LIMIT 5"
        ).format(
            entity=literal(target.entity.name),
            name=literal(one.name),
            sidecar=EntitySql(target).sidecar,
        )
    )
    return [row[0] for row in rows]


def _place(target: Target, one: Reference) -> tuple[sql.Composable, sql.Composable | None]:
    """The column of the values, and the table or query that has it; None where it isn't there."""
    if one.storage == "sidecar":
        values = sql.SQL("(SELECT value FROM dotpeen.external_value WHERE entity = {} AND name = {}) AS v")
        return sql.Identifier("value"), values.format(literal(target.entity.name), literal(one.name))
    there = one.column in target.table.columns
    return sql.Identifier(one.column), EntitySql(target).table if there else None
