"""Primary-key ranges of the backfill, kept in the database so that any number of workers share them.

A range is carved off behind a cursor that only moves forward to a bound frozen at the start, and deleted in the
transaction that finishes it. Who works on a range holds an advisory lock on it: the lock ends with the session, so a
killed worker's range is free at once and no lease has to run out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from dotpeen.database import Connection
from dotpeen.migration.sql import table_identifier
from dotpeen.registry import TableName

LOCK_CLASS = 0x646F7470
"""First key of the advisory locks on ranges ("dotp")."""

Key = list[str]
"""Values of the primary key's columns, as text."""


@dataclass(frozen=True)
class Range:
    """The rows with lower < primary key <= upper of one table; `lower` None: from the beginning."""

    id: int
    unit: TableName
    lower: Key | None
    upper: Key
    stripe: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class KeyColumns:
    """The primary key of a table, to build range conditions from."""

    names: tuple[str, ...]
    types: tuple[str, ...]

    def ordered(self) -> sql.Composed:
        """`"a", "b"`, for SELECT and ORDER BY."""
        return sql.SQL(", ").join(sql.Identifier("t", name) for name in self.names)

    def texts(self) -> sql.Composed:
        """`t."a"::text, t."b"::text`: the key as it is stored in a range."""
        return sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in self.names
        )

    def compare(self, operator: str, key: Sequence[str]) -> sql.Composed:
        """A row comparison that a B-tree over the key answers.

        Values are quoted literals: in a statement with placeholders a `%` in a column's name would count as one.
        """
        values = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(name))
            for value, name in zip(key, self.types, strict=True)
        )
        return sql.SQL("({}) {} ({})").format(self.ordered(), sql.SQL(operator), values)

    def within(self, lower: Key | None, upper: Key) -> sql.Composed:
        """The condition of a range."""
        below = self.compare("<=", upper)
        if lower is None:
            return below
        return sql.SQL("{} AND {}").format(self.compare(">", lower), below)


def claim_left_over(connection: Connection, entity: str) -> Range | None:
    """Take a range that nobody works on: its worker died, or put it back for later."""
    candidates = connection.execute(
        "SELECT r.id FROM dotpeen.backfill_range AS r"
        " WHERE r.entity = %(entity)s AND (r.retry_at IS NULL OR r.retry_at <= pg_catalog.clock_timestamp())"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'advisory' AND l.objsubid = 2"
        " AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
        " AND l.classid = %(class)s::bigint::oid AND l.objid = (r.id %% 2147483648)::oid) ORDER BY r.id LIMIT 8",
        {"entity": entity, "class": LOCK_CLASS},
    ).fetchall()
    for (range_id,) in candidates:
        if not _try_lock(connection, range_id):
            continue
        row = connection.execute(
            "SELECT r.id, b.unit, r.lower, r.upper, r.stripe, r.attempts FROM dotpeen.backfill_range AS r"
            " JOIN dotpeen.backfill AS b USING (entity, unit) WHERE r.id = %s",
            [range_id],
        ).fetchone()
        if row is not None:
            return _range(row)
        release(connection, range_id)
    return None


def carve(connection: Connection, entity: str, keys: KeyColumns, rows: int) -> Range | None:
    """Take the next range of about `rows` rows and move the cursor past it; None when all were handed out."""
    with connection.transaction():
        unit_row = connection.execute(
            "SELECT unit, cursor, upper FROM dotpeen.backfill WHERE entity = %s AND NOT exhausted"
            " ORDER BY position LIMIT 1 FOR UPDATE",
            [entity],
        ).fetchone()
        if unit_row is None:
            return None
        unit_text, cursor, bound = unit_row
        unit = TableName.parse(unit_text)
        upper = key_after(connection, unit, keys, cursor, bound, rows)
        exhausted = upper is None
        inserted = connection.execute(
            "INSERT INTO dotpeen.backfill_range (entity, unit, lower, upper) VALUES (%s, %s, %s, %s) RETURNING id",
            [entity, unit_text, Jsonb(cursor) if cursor else None, Jsonb(upper or bound)],
        ).fetchone()
        connection.execute(
            "UPDATE dotpeen.backfill SET cursor = %s, exhausted = %s WHERE entity = %s AND unit = %s",
            [Jsonb(upper or bound), exhausted, entity, unit_text],
        )
        range_id = int(inserted[0]) if inserted else 0
        # Before the commit nobody else sees the range, so the lock is ours.
        _try_lock(connection, range_id)
    return Range(range_id, unit, cursor, upper or bound)


def split(connection: Connection, entity: str, piece: Range, keys: KeyColumns, rows: int) -> Range:
    """Cut a range behind its first `rows` rows; the rest becomes a range for whoever comes."""
    with connection.transaction():
        middle = key_after(connection, piece.unit, keys, piece.lower, piece.upper, rows)
        if middle is None or middle == piece.upper:
            return piece
        connection.execute(
            "INSERT INTO dotpeen.backfill_range (entity, unit, lower, upper) SELECT entity, unit, %s, upper"
            " FROM dotpeen.backfill_range WHERE id = %s",
            [Jsonb(middle), piece.id],
        )
        connection.execute(
            "UPDATE dotpeen.backfill_range SET upper = %s WHERE id = %s", [Jsonb(middle), piece.id]
        )
    return Range(piece.id, piece.unit, piece.lower, middle, piece.stripe, piece.attempts)


def put_back(connection: Connection, piece: Range, *, seconds: float) -> None:
    """Leave a range for later, when rows of it are locked by somebody else."""
    connection.execute(
        "UPDATE dotpeen.backfill_range SET attempts = attempts + 1, stripe = 0,"
        " retry_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => %s) WHERE id = %s",
        [seconds, piece.id],
    )
    release(connection, piece.id)


def release(connection: Connection, range_id: int) -> None:
    """Give up the advisory lock on a range."""
    connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s, %s)", [LOCK_CLASS, range_id % 2**31])


def any_left(connection: Connection, entity: str) -> bool:
    """Tell whether ranges are still being worked on or wait for a retry."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM dotpeen.backfill_range WHERE entity = %s)", [entity]
    ).fetchone()
    return bool(row and row[0])


def key_after(
    connection: Connection, unit: TableName, keys: KeyColumns, lower: Key | None, upper: Key, rows: int
) -> Key | None:
    """Return the key of the row that is `rows` rows into the range, or None when the range has no more than that."""
    query = sql.SQL("SELECT {} FROM {} AS t WHERE {} ORDER BY {} OFFSET {} LIMIT 1").format(
        keys.texts(), table_identifier(unit), keys.within(lower, upper), keys.ordered(), sql.Literal(rows - 1)
    )
    row = connection.execute(query).fetchone()
    return list(row) if row else None


def largest_key(connection: Connection, unit: TableName, keys: KeyColumns) -> Key | None:
    """Return the largest primary key of a table, or None when it is empty."""
    query = sql.SQL("SELECT {} FROM {} AS t ORDER BY {} LIMIT 1").format(
        keys.texts(),
        table_identifier(unit),
        sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier("t", name)) for name in keys.names),
    )
    row = connection.execute(query).fetchone()
    return list(row) if row else None


def _try_lock(connection: Connection, range_id: int) -> bool:
    row = connection.execute(
        "SELECT pg_catalog.pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, range_id % 2**31]
    ).fetchone()
    return bool(row and row[0])


def _range(row: tuple[Any, ...]) -> Range:
    range_id, unit, lower, upper, stripe, attempts = row
    return Range(range_id, TableName.parse(unit), lower, upper, stripe, attempts)


def unit_text(name: TableName) -> str:
    """Write a table's name so that `TableName.parse` reads it back."""
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in name)
