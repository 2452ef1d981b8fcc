"""Verify that an index serves: what PostgreSQL plans for a lookup, and what keeps it from using an index yet."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.migration.model import CheckResult


def index_used(
    connection: Connection, lookup: sql.Composed, oids: Sequence[int], column: str, *, by: str = "UUID"
) -> CheckResult:
    """Ask for the plan of a lookup by a column of these tables; `by` is what people call that."""
    # Asked first: if they end meanwhile, the plan below is a good one.
    held_up = _held_up(connection, oids, column)
    with connection.transaction():
        # A table of a few pages is read whole, index or not; the question is whether the index can serve.
        connection.execute("SET LOCAL enable_seqscan = off")
        rows = connection.execute(sql.SQL("EXPLAIN {}").format(lookup)).fetchall()
    plan = "\n".join(row[0] for row in rows)
    scans = [line.strip(" ->") for line in plan.splitlines() if "Scan" in line]
    if any(line.startswith("Seq Scan") for line in scans):
        if held_up:
            return "note", f"{held_up} will be used once the transactions end that are older than it"
        return "failed", f"a lookup by {by} reads the whole table: {scans[0]}"
    return "ok", scans[0].split("  (")[0]


def _held_up(connection: Connection, oids: Sequence[int], column: str) -> str | None:
    """Name a valid index that PostgreSQL does not use yet.

    One that was built without CONCURRENTLY over rows just updated may lack what older transactions see: it is left
    alone while any such transaction is open, in any database of the server.
    """
    row = connection.execute(
        "SELECT i.indexrelid::regclass::text FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid"
        " WHERE i.indrelid = ANY (%s) AND a.attnum = i.indkey[0] AND a.attname = %s AND i.indisvalid AND i.indcheckxmin"
        " AND age(i.xmin) <= age(pg_snapshot_xmin(pg_current_snapshot())::xid)",
        [list(oids), column],
    ).fetchone()
    return row[0] if row else None
