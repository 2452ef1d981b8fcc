"""The journal: everything that ran, written where it ran."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dotpeen.database import Connection
from dotpeen.database.connect import worker_name


@dataclass(frozen=True)
class JournalEntry:
    """One line of `dotpeen.journal`."""

    at: datetime
    role: str
    actor: str
    entity: str | None
    stage: str | None
    action: str
    outcome: str
    seconds: float | None
    lock: str | None
    lock_wait_seconds: float | None
    lock_held_seconds: float | None
    attempts: int | None
    rows: int | None
    sql: str | None
    detail: dict[str, Any] | None


def actor() -> str:
    """Name who runs this: operating system user, host and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{worker_name()}"


def record(
    connection: Connection,
    action: str,
    *,
    outcome: Literal["done", "failed", "noted"] = "done",
    entity: str | None = None,
    stage: str | None = None,
    statements: tuple[str, ...] = (),
    seconds: float | None = None,
    lock: str | None = None,
    rows: int | None = None,
    detail: dict[str, Any] | None = None,
) -> int:
    """Write an entry and return its id; within the caller's transaction, if it has one."""
    row = connection.execute(
        "INSERT INTO dotpeen.journal (actor, entity, stage, action, sql, outcome, seconds, lock, rows, detail)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        [
            actor(),
            entity,
            stage,
            action,
            ";\n".join(statements) or None,
            outcome,
            seconds,
            lock,
            rows,
            Jsonb(detail) if detail is not None else None,
        ],
    ).fetchone()
    return int(row[0]) if row else 0


def complete(
    connection: Connection, entry: int, *, seconds: float, lock_wait: float, lock_held: float, attempts: int
) -> None:
    """Add what is only known after the commit."""
    connection.execute(
        "UPDATE dotpeen.journal SET seconds = %s, lock_wait_seconds = %s, lock_held_seconds = %s, attempts = %s"
        " WHERE id = %s",
        [seconds, lock_wait, lock_held, attempts, entry],
    )


def read(connection: Connection, *, entity: str | None = None, limit: int = 200) -> list[JournalEntry]:
    """Return the newest entries, oldest first."""
    with connection.cursor(row_factory=class_row(JournalEntry)) as cursor:
        entries = cursor.execute(
            "SELECT at, role, actor, entity, stage, action, outcome, seconds, lock, lock_wait_seconds,"
            " lock_held_seconds, attempts, rows, sql, detail FROM dotpeen.journal"
            " WHERE %(entity)s::text IS NULL OR entity = %(entity)s ORDER BY id DESC LIMIT %(limit)s",
            {"entity": entity, "limit": limit},
        ).fetchall()
    return entries[::-1]
