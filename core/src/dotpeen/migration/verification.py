"""Verify: prove that every record has exactly one UUID, that none was lost, and that lookups use the index."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import psycopg
from psycopg import sql

from dotpeen.contributions import VerificationCheck
from dotpeen.database import Connection
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import CheckResult, Target
from dotpeen.migration.preflight import unseen_changes
from dotpeen.migration.ranges import unit_text
from dotpeen.migration.sql import FILL_TRIGGER, SIDECAR_TRIGGERS, EntitySql, literal
from dotpeen.migration.stages import enforce, index
from dotpeen.migration.verification_index import index_used
from dotpeen.migration.verification_references import reference_checks

LOOKUPS = 100
LOOKUP_ROUNDS = 3
"""The best of so many: one busy moment of the machine says nothing about the index."""
STATISTICS_DELAY_SECONDS = 12
"""Sessions report their row counts every second, idle ones after ten (PGSTAT_IDLE_INTERVAL)."""
LOOKUP_LIMIT_SECONDS = 0.1
"""What the migration plan promises: a record by UUID in under 100 ms."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    entity: str
    name: str
    outcome: Literal["ok", "failed", "note"]
    detail: str
    seconds: float


def verify(
    connection: Connection,
    targets: Sequence[Target],
    plugin_checks: Mapping[str, Sequence[tuple[str, VerificationCheck]]],
) -> list[Check]:
    """Run every check on every entity, the plugins' by entity name included; only reads."""
    checks = []

    def run(entity: str, name: str, check: Callable[[], CheckResult]) -> None:
        started = time.monotonic()
        try:
            outcome, detail = check()
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            outcome, detail = "failed", f"not migrated: {error.diag.message_primary}"
        except (psycopg.DataError, psycopg.ProgrammingError) as error:
            outcome, detail = "failed", f"can't be checked: {error.diag.message_primary}"
        checks.append(Check(entity, name, outcome, detail, time.monotonic() - started))

    for target in targets:
        for name, check in _checks(connection, target):
            run(target.entity.name, name, check)
        for plugin, extra in plugin_checks.get(target.entity.name, ()):
            run(target.entity.name, f"{plugin}: {extra.name}", partial(_plugin_check, connection, extra))
    if len(targets) > 1:
        run("", "no UUID in two entities", lambda: _collisions(connection, targets))
    return checks


def violations(connection: Connection, target: Target) -> str:
    """Name rows that keep the constraints from being validated."""
    checks = [_nulls(connection, target)]
    if target.entity.uuid.type == "text":
        checks.append(_form(connection, target))
    return "; ".join(detail for outcome, detail in checks if outcome == "failed") or "no longer"


def _plugin_check(connection: Connection, check: VerificationCheck) -> CheckResult:
    try:
        wrong = list(check.run(connection))
    except Exception as error:
        return "failed", f"the check itself failed: {type(error).__name__}: {error}"
    return ("failed", "; ".join(wrong)) if wrong else ("ok", "")


def _checks(connection: Connection, target: Target) -> Iterator[tuple[str, Callable[[], CheckResult]]]:
    sidecar = target.entity.uuid.storage == "sidecar"
    if not sidecar:
        yield "column", lambda: _column(target)
    yield "every row has a UUID", lambda: _nulls(connection, target)
    yield "no UUID twice", lambda: _duplicates(connection, target)
    if target.entity.uuid.type == "text":
        yield "canonical form", lambda: _form(connection, target)
    if sidecar:
        yield "no UUID without a row", lambda: _orphans(connection, target)
    yield "no row lost", lambda: _rows(connection, target)
    yield "foreign keys intact", lambda: _foreign_keys(connection, target)
    yield "new rows get one", lambda: _new_rows(target)
    yield "issued UUIDs are guarded", lambda: _guard(connection, target)
    yield "unique and not null enforced", lambda: _enforced(target)
    yield "index valid and used", lambda: _index(connection, target)
    yield "lookups", lambda: _lookups(connection, target)
    yield from reference_checks(connection, target)


def _column(target: Target) -> CheckResult:
    uuid = target.entity.uuid
    column = target.table.columns.get(uuid.column)
    if column is None:
        return "failed", f"{target.table.name} has no column {uuid.column}: run `dotpeen migrate up`"
    if column.type != uuid.type:
        return "failed", f"{uuid.column} is {column.type}, the registry says {uuid.type}"
    return "ok", f"{uuid.column} {column.type}"


def _nulls(connection: Connection, target: Target) -> CheckResult:
    fill = Fill(target)
    keys = [row[0] for unit in target.table.leaves for row in connection.execute(fill.missing(unit, limit=5))]
    if keys:
        return "failed", f"without a UUID: {', '.join(keys[:5])}{' and more' if len(keys) >= 5 else ''}"
    return "ok", "no row without"


def _duplicates(connection: Connection, target: Target) -> CheckResult:
    column, source = _identities(target)
    rows = connection.execute(
        sql.SQL(
            "SELECT {}::text, count(*) FROM {} WHERE {} IS NOT NULL GROUP BY 1 HAVING count(*) > 1 LIMIT 5"
        ).format(column, source, column)
    ).fetchall()
    if rows:
        return "failed", "; ".join(f"{value} in {count} rows" for value, count in rows)
    row = connection.execute(sql.SQL("SELECT count({}) FROM {}").format(column, source)).fetchone()
    return "ok", f"{row[0] if row else 0:,} different UUIDs"


def _form(connection: Connection, target: Target) -> CheckResult:
    names = EntitySql(target)
    rows = connection.execute(
        sql.SQL("SELECT {}, t.{c} FROM {} AS t WHERE t.{c} !~ {} LIMIT 5").format(
            names.key("t"), names.table, literal(CANONICAL_UUID_SQL), c=names.column
        )
    ).fetchall()
    if rows:
        return "failed", "; ".join(f"row {key}: {value!r}" for key, value in rows)
    return "ok", "lower case with hyphens"


def _orphans(connection: Connection, target: Target) -> CheckResult:
    names = EntitySql(target)
    rows = connection.execute(
        sql.SQL(
            "SELECT i.key FROM {} AS i WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {} = i.key) LIMIT 5"
        ).format(names.sidecar, names.table, names.key("t"))
    ).fetchall()
    if rows:
        keys = ", ".join(row[0] for row in rows)
        return "failed", f"the sidecar names rows that are gone: {keys}: run `dotpeen migrate up`"
    return "ok", "every one has its row"


def _rows(connection: Connection, target: Target) -> CheckResult:
    """Fewer rows than before, and not because the plant deleted some, are rows lost.

    Sessions report what they deleted with a delay, so a shortage is looked at again before it counts.
    """
    deadline = time.monotonic() + STATISTICS_DELAY_SECONDS
    while (result := _rows_now(connection, target))[0] == "failed" and time.monotonic() < deadline:
        time.sleep(0.5)
    return result


def _rows_now(connection: Connection, target: Target) -> CheckResult:
    oids = [part.oid for part in target.parts.values()] or [target.table.oid]
    # Partitions that were dropped or detached since took their rows with them.
    before = connection.execute(
        "SELECT e.rows_before - coalesce(g.rows, 0), e.deleted_before, coalesce(g.rows, 0) FROM dotpeen.entity AS e,"
        " (SELECT sum(rows_total) AS rows FROM dotpeen.backfill WHERE entity = %s AND unit <> ALL (%s)) AS g"
        " WHERE e.name = %s",
        [target.entity.name, [unit_text(unit) for unit in target.table.leaves], target.entity.name],
    ).fetchone()
    if before is None or before[0] is None:
        return "note", "no count from before the migration"
    rows_before, deleted_before, gone = before
    row = connection.execute(
        sql.SQL(
            "SELECT count(*), (SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_deleted(c)), 0)::bigint"
            " FROM unnest({}::oid[]) AS c) FROM {}"
        ).format(sql.Literal(oids), EntitySql(target).table)
    ).fetchone()
    now, deleted_now = row or (0, 0)
    deleted = max(deleted_now - deleted_before, 0)
    if now + deleted < rows_before:
        if deleted_now < deleted_before:
            return (
                "note",
                f"{now:,} rows, {rows_before:,} before; the server's statistics were reset in between",
            )
        return "failed", f"{now:,} rows and {deleted:,} deleted by the plant, but {rows_before:,} before"
    return (
        "ok",
        f"{rows_before:,} before, {now:,} now"
        + (f", {deleted:,} deleted by the plant" if deleted else "")
        + (f", {gone:,} in partitions that are gone" if gone else ""),
    )


def _foreign_keys(connection: Connection, target: Target) -> CheckResult:
    keys = target.table.foreign_keys
    for key in keys:
        if not key.validated:
            return "failed", f"{key.name} is not validated"
        present = sql.SQL(" AND ").join(
            sql.SQL("t.{} IS NOT NULL").format(sql.Identifier(c)) for c in key.columns
        )
        same = sql.SQL(" AND ").join(
            sql.SQL("r.{} = t.{}").format(sql.Identifier(there), sql.Identifier(here))
            for here, there in zip(key.columns, key.referenced_columns, strict=True)
        )
        row = connection.execute(
            sql.SQL(
                "SELECT count(*) FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})"
            ).format(EntitySql(target).table, present, sql.Identifier(*key.references), same)
        ).fetchone()
        if row and row[0]:
            return "failed", f"{key.name}: {row[0]:,} rows point nowhere"
    return "ok", f"{len(keys)} checked" if keys else "none"


def _new_rows(target: Target) -> CheckResult:
    table = target.table
    # Where the table is not ours to alter, triggers are created but can't be made to fire always.
    enough = "A" if table.owned else "AO"
    enabled = {trigger.name for trigger in table.triggers if trigger.enabled in enough}
    if target.entity.uuid.storage == "sidecar":
        missing = [name for name in SIDECAR_TRIGGERS if name not in enabled]
        return (
            ("failed", f"trigger {missing[0]} is missing or off")
            if missing
            else ("ok", "triggers on the table")
        )
    if FILL_TRIGGER not in enabled:
        return "failed", f"trigger {FILL_TRIGGER} is missing or off"
    column = table.columns.get(target.entity.uuid.column)
    default = EntitySql(target).default
    if default is not None and (column is None or column.default is None):
        return "failed", "the column has no default"
    return (
        "ok",
        "fill trigger" if default is None else f"default {column.default if column else ''} and fill trigger",
    )


def _guard(connection: Connection, target: Target) -> CheckResult:
    table = target.sidecar if target.entity.uuid.storage == "sidecar" else target.table
    guards = EntitySql(target).guards
    for guard in guards:
        states = [trigger.enabled for trigger in table.triggers if trigger.name == guard] if table else []
        if not states:
            return "failed", f"the guard trigger {guard} is missing: `dotpeen migrate up`"
        if states != ["A"]:
            return "failed", "the guard trigger is off: `dotpeen migrate guard on`"
        for name, part in target.parts.items() if table is target.table else ():
            if not any(trigger.name == guard and trigger.enabled == "A" for trigger in part.triggers):
                return "failed", f"the guard trigger of partition {name} is off: `dotpeen migrate guard on`"
    notes = [
        f"{trigger} could change the UUID of a row that moves to another partition: {remedy}"
        for trigger, remedy in unseen_changes(connection, target)
    ]
    row = connection.execute(
        "SELECT count(*), max(at) FROM dotpeen.journal WHERE entity = %s AND action = 'guard off'",
        [target.entity.name],
    ).fetchone()
    if row and row[0]:
        times = "once" if row[0] == 1 else f"{row[0]} times"
        notes.insert(0, f"it was turned off {times}, last at {row[1]:%Y-%m-%d %H:%M:%S} (see the journal)")
    return ("note", "; ".join(["on", *notes])) if notes else ("ok", "on, never turned off")


def _enforced(target: Target) -> CheckResult:
    steps = (*index.apply(target), *enforce.apply(target))
    open_steps = [step.name for step in steps if not step.done and not step.references]
    return ("failed", f"open: {', '.join(open_steps)}") if open_steps else ("ok", "by the database")


def _index(connection: Connection, target: Target) -> CheckResult:
    sample = _sample(connection, target, 1)
    if not sample:
        return "note", "the table is empty"
    if target.entity.uuid.storage == "sidecar":
        oids, column = [target.sidecar.oid] if target.sidecar else [], "uuid"
    else:
        oids = [target.table.oid, *(part.oid for part in target.parts.values())]
        column = target.entity.uuid.column
    return index_used(connection, _lookup(target, sample[0]), oids, column)


def _lookups(connection: Connection, target: Target) -> CheckResult:
    sample = _sample(connection, target, LOOKUPS)
    if not sample:
        return "note", "the table is empty"
    for _ in range(LOOKUP_ROUNDS):
        times = []
        gone = 0
        for value in sample:
            started = time.perf_counter()
            found = connection.execute(_lookup(target, value)).fetchall()
            times.append(time.perf_counter() - started)
            gone += not found
            if len(found) > 1:
                return "failed", f"{value} finds {len(found)} rows"
        if gone > max(1, len(sample) // 10):
            # A few may have been deleted since they were sampled.
            return "failed", f"{gone} of {len(sample)} UUIDs find no row"
        times.sort()
        middle, high = times[len(times) // 2], times[math.ceil(len(times) * 0.99) - 1]
        if high < LOOKUP_LIMIT_SECONDS:
            break
    detail = f"{len(times)} by UUID: median {middle * 1000:.2f} ms, p99 {high * 1000:.2f} ms"
    return ("ok" if high < LOOKUP_LIMIT_SECONDS else "failed"), detail


def _collisions(connection: Connection, targets: Sequence[Target]) -> CheckResult:
    parts = []
    for target in targets:
        column, source = _identities(target)
        parts.append(
            # As text: a malformed one is another check's business.
            sql.SQL("SELECT {}::text AS uuid, {} AS entity FROM {} WHERE {} IS NOT NULL").format(
                column, literal(target.entity.name), source, column
            )
        )
    rows = connection.execute(
        sql.SQL(
            "SELECT uuid, string_agg(DISTINCT entity, ', ') FROM ({}) AS s GROUP BY uuid"
            " HAVING count(DISTINCT entity) > 1 LIMIT 5"
        ).format(sql.SQL(" UNION ALL ").join(parts))
    ).fetchall()
    if rows:
        return "failed", "; ".join(f"{value} in {entities}" for value, entities in rows)
    return "ok", f"{len(targets)} entities held against each other"


def _identities(target: Target) -> tuple[sql.Composable, sql.Composable]:
    names = EntitySql(target)
    if target.entity.uuid.storage == "sidecar":
        return sql.Identifier("uuid"), names.sidecar
    return names.column, names.table


def _sample(connection: Connection, target: Target, count: int) -> list[str]:
    column, source = _identities(target)
    rows = connection.execute(
        sql.SQL("SELECT {c}::text FROM {} WHERE {c} IS NOT NULL LIMIT {}").format(
            source, sql.Literal(count), c=column
        )
    )
    return [row[0] for row in rows]


def _lookup(target: Target, value: str) -> sql.Composed:
    names = EntitySql(target)
    if target.entity.uuid.storage == "sidecar":
        return sql.SQL(
            "SELECT i.key FROM dotpeen.identity AS i WHERE i.entity = {} AND i.uuid = {}::uuid"
        ).format(literal(target.entity.name), literal(value))
    # Not `*`: there are values that Python has no room for, such as infinite dates.
    return sql.SQL("SELECT t.ctid FROM {} AS t WHERE t.{} = {}::{}").format(
        names.table, names.column, literal(value), sql.SQL(target.entity.uuid.type)
    )
