"""What became of the files: counts for all, and a line for what somebody has to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.hooks import ImportItem, ImportReport
from dotpeen_qif.importing.targets import ROLES, Targets

_ALIKE: Final = 3
"""Items of a file with the same message that have a line each; of more, the first has, and says how many they are."""
LISTED: Final = 1000
"""Items that are listed of each entity; the rest is counted."""


def report_of(connection: Connection, targets: Targets) -> ImportReport:
    """Return the report of what is in the temporary tables."""
    report = ImportReport()
    for role in ROLES:
        if role not in targets:
            continue
        entity = targets[role].entity
        table = sql.Identifier("pg_temp", "qif_ready") if role == "result" else targets[role].staged
        counts = connection.execute(
            sql.SQL(
                "SELECT outcome, pg_catalog.count(*) FROM {} WHERE outcome IN"
                " ('created', 'updated', 'unchanged', 'conflicting', 'unmatched') GROUP BY outcome"
            ).format(table)
        ).fetchall()
        if not counts:
            continue
        label = sql.SQL("s.uuid::text" if role == "result" else "s.label")
        report.changes += _changes(connection, entity, table, label)
        told = 0
        for item, more in _wrong(connection, entity, table, label):
            told += 1 + more
            report.items.append(item)
        wrong = sum(number for outcome, number in counts if outcome in ("conflicting", "unmatched"))
        if wrong > told:
            report.items.append(
                ImportItem("unmatched", entity, "", message=f"and {wrong - told} more that are not listed")
            )
        report.counts.setdefault(entity, Counter())
        for outcome, number in counts:
            report.counts[entity][outcome] += number
    return report


def _wrong(
    connection: Connection, entity: str, table: sql.Identifier, label: sql.Composable
) -> Iterator[tuple[ImportItem, int]]:
    """Yield what is left out, and of how many more a line tells."""
    rows = connection.execute(
        sql.SQL(
            "SELECT s.outcome, s.called, d.file_name, s.line, s.message, s.alike FROM (SELECT s.*, {} AS called,"
            " pg_catalog.count(*) OVER g AS alike, pg_catalog.row_number() OVER (g ORDER BY s.n) AS nth"
            " FROM {} AS s WHERE s.outcome IN ('conflicting', 'unmatched')"
            " WINDOW g AS (PARTITION BY s.file, s.outcome, s.message)) AS s"
            " JOIN pg_temp.qif_document AS d ON d.file = s.file"
            " WHERE s.nth = 1 OR s.alike <= {} ORDER BY s.n LIMIT {}"
        ).format(label, table, sql.Literal(_ALIKE), sql.Literal(LISTED))
    ).fetchall()
    for outcome, identifier, file, line, message, alike in rows:
        more = alike - 1 if alike > _ALIKE else 0
        text = f"{message or ''}; and {more:,} more" if more else message or ""
        yield ImportItem(outcome, entity, identifier, where=_where(file, line), message=text), more


def _changes(
    connection: Connection, entity: str, table: sql.Identifier, label: sql.Composable
) -> list[ImportItem]:
    """Return what changes, with the old and the new value of each column."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {}, d.file_name, s.line, s.message FROM {} AS s JOIN pg_temp.qif_document AS d ON d.file = s.file"
            " WHERE s.outcome = 'updated' ORDER BY s.n LIMIT {}"
        ).format(label, table, sql.Literal(LISTED))
    ).fetchall()
    return [
        ImportItem("updated", entity, identifier, where=_where(file, line), message=message or "")
        for identifier, file, line, message in rows
    ]


def _where(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file
