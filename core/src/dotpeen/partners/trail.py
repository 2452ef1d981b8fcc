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
from dotpeen.partners.audit import EPOCH, MICROSECOND, audit_id

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


@dataclass(frozen=True)
class AuditFilter:
    """What to look for; `since` is included, `until` is not. `partner` is the name exactly as it is kept."""

    partner: str | None = None
    entity: str | None = None
    uuid: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def query(
    connection: Connection, wanted: AuditFilter, *, limit: int | None = None
) -> Generator[AuditRecord, None, None]:
    """Give the entries looked for, the newest first, without holding more than a few thousand in memory."""
    if not _installed(connection):
        return
    statement = sql.SQL(
        "SELECT at, partner, token_id, method, route, entity, uuid, records, status, request_id, remote,"
        " milliseconds, changed FROM dotpeen.audit WHERE {} ORDER BY id DESC LIMIT %(limit)s"
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
        done = connection.execute(
            "DELETE FROM dotpeen.audit WHERE id = ANY(ARRAY("
            "SELECT id FROM dotpeen.audit WHERE id < %s::uuid ORDER BY id LIMIT %s))",
            [_bound(before), _PRUNED_AT_ONCE],
        )
        rows += done.rowcount
        if done.rowcount < _PRUNED_AT_ONCE:
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
                else sql.SQL("uuid = %(uuid)s::uuid")
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


def _installed(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_catalog.to_regclass('dotpeen.audit') IS NOT NULL").fetchone()
    return bool(row and row[0])
