"""Reading the audit trail, and shortening it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dotpeen.database import Connection
from dotpeen.errors import ConfigurationError
from dotpeen.partners.audit import EPOCH, MICROSECOND, audit_id

# An array, so that each of the two indexes is asked by itself.
_GAVE_AWAY: Final = sql.SQL(
    "id = ANY(ARRAY(SELECT a.id FROM dotpeen.audit AS a WHERE a.uuid = %(uuid)s::uuid UNION ALL"
    " SELECT g.entry FROM dotpeen.audit_given AS g WHERE g.uuids @> ARRAY[%(uuid)s::uuid]))"
)
_PRUNE: Final = """
WITH old AS (
    DELETE FROM dotpeen.audit
     WHERE id = ANY(ARRAY(SELECT id FROM dotpeen.audit WHERE id < %s::uuid ORDER BY id LIMIT %s)) RETURNING id),
given AS (DELETE FROM dotpeen.audit_given WHERE entry IN (SELECT id FROM old))
SELECT count(*) FROM old
"""
_CHUNK: Final = 2000
_PRUNED_AT_ONCE: Final = 20_000


@dataclass(frozen=True)
class AuditRecord:
    """One line of `dotpeen.audit`."""

    at: datetime
    partner: str | None
    token_id: str | None
    method: str
    route: str
    entity: str | None
    uuid: UUID | None
    records: int
    status: int
    request_id: str | None
    remote: str | None
    milliseconds: float
    changed: list[str] | None
    requests: int
    uuids: list[UUID] | None
    """The records of a page or a batch."""


@dataclass(frozen=True)
class AuditFilter:
    """What to look for; `since` is included, `until` is not. `partner` is the name exactly as it is kept.

    `uuid` is a record that was given away, alone or with others.
    """

    partner: str | None = None
    entity: str | None = None
    uuid: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def query(
    connection: Connection, wanted: AuditFilter, *, limit: int | None = None
) -> Generator[AuditRecord, None, None]:
    """Give the entries looked for, the newest first, without holding more than a few thousand in memory.

    Raises `ConfigurationError` where an older release made the trail.
    """
    if not _installed(connection):
        return
    if not _installed(connection, "dotpeen.audit_given"):
        # Who reads the trail need not be one who may change it.
        raise ConfigurationError(
            "the audit trail is that of an older release of Dotpeen",
            hint="dotpeen serve brings schema dotpeen up to date when it starts, and so does dotpeen migrate up",
        )
    statement = sql.SQL(
        "SELECT at, partner, token_id, method, route, entity, uuid, records, status, request_id, remote,"
        " milliseconds, changed, requests,"
        " (SELECT g.uuids FROM dotpeen.audit_given AS g WHERE g.entry = audit.id) AS uuids"
        " FROM dotpeen.audit WHERE {} ORDER BY id DESC LIMIT %(limit)s"
    )
    conditions, parameters = _conditions(wanted)
    with (
        connection.transaction(),
        connection.cursor("audit", row_factory=class_row(AuditRecord)) as cursor,
    ):
        cursor.itersize = _CHUNK
        cursor.execute(statement.format(conditions), parameters | {"limit": limit})
        yield from cursor


def count_before(connection: Connection, before: datetime) -> int:
    """Return how many entries are older."""
    if not _installed(connection):
        return 0
    row = connection.execute(
        "SELECT count(*) FROM dotpeen.audit WHERE id < %s::uuid", [_bound(before)]
    ).fetchone()
    return int(row[0]) if row else 0


def prune(connection: Connection, before: datetime, *, by: str) -> int:
    """Delete the entries that are older and return how many; the journal keeps who did it and how far.

    Deletes in short transactions: writers of the trail wait for none of them.
    """
    rows = 0
    while True:
        (deleted,) = connection.execute(_PRUNE, [_bound(before), _PRUNED_AT_ONCE]).fetchone() or (0,)
        rows += int(deleted)
        if deleted < _PRUNED_AT_ONCE:
            break
    connection.execute(
        "INSERT INTO dotpeen.journal (actor, action, outcome, rows, detail)"
        " VALUES (%s, 'audit prune', 'done', %s, %s)",
        [by, rows, Jsonb({"before": before.isoformat()})],
    )
    return rows


def _conditions(wanted: AuditFilter) -> tuple[sql.Composable, dict[str, Any]]:
    conditions: list[sql.Composable] = [sql.SQL("true")]
    parameters: dict[str, Any] = {}
    for name in ("partner", "entity", "uuid"):
        if getattr(wanted, name) is not None:
            conditions.append(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
                if name != "uuid"
                else _GAVE_AWAY
            )
            parameters[name] = getattr(wanted, name)
    if wanted.since is not None:
        conditions.append(sql.SQL("id >= %(since)s::uuid"))
        parameters["since"] = _bound(wanted.since)
    if wanted.until is not None:
        conditions.append(sql.SQL("id < %(until)s::uuid"))
        parameters["until"] = _bound(wanted.until)
    return sql.SQL(" AND ").join(conditions), parameters


def _bound(moment: datetime) -> str:
    # Keys are made from times: the primary key finds a time.
    return audit_id((moment - EPOCH) // MICROSECOND)


def _installed(connection: Connection, table: str = "dotpeen.audit") -> bool:
    row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return bool(row and row[0])
