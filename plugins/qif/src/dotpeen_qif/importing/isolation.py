"""One row that the database refuses is found and left out; the others go on."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing.targets import COMMA, Target
from dotpeen_qif.importing.values import said


def isolated(
    connection: Connection,
    table: sql.Identifier,
    rows: sql.Composable,
    run: Callable[[sql.Composable], object],
) -> None:
    """Run a statement for the rows `s` of a table that a condition names.

    Where the database refuses it, halves are tried, down to the row that is refused: that gets the outcome
    `conflicting` with the database's own words, and the others are written.
    """
    span = connection.execute(
        sql.SQL("SELECT pg_catalog.min(s.n), pg_catalog.max(s.n) FROM {} AS s WHERE {}").format(table, rows)
    ).fetchone()
    if span is None or span[0] is None:
        return
    waiting: list[tuple[int, int]] = [span]
    while waiting:
        first, last = waiting.pop()
        part = sql.SQL("{} AND s.n BETWEEN {} AND {}").format(rows, sql.Literal(first), sql.Literal(last))
        try:
            with connection.transaction():
                run(part)
        except (psycopg.errors.IntegrityError, psycopg.DataError) as error:
            if first == last:
                connection.execute(
                    sql.SQL("UPDATE {} AS s SET outcome = 'conflicting', message = {} WHERE s.n = {}").format(
                        table, sql.Literal(_refusal(error)), sql.Literal(first)
                    )
                )
                continue
            middle = (first + last) // 2
            waiting += [(middle + 1, last), (first, middle)]


def fitting(connection: Connection, target: Target) -> None:
    """Let rows whose values no column can hold be conflicts, one by one: a number out of range, a word for a date."""
    columns = said(target)
    if columns:
        isolated(
            connection,
            target.staged,
            sql.SQL("s.outcome IS NULL"),
            lambda rows: connection.execute(
                sql.SQL("SELECT {} FROM {} AS s WHERE {}").format(
                    COMMA.join(sql.SQL("pg_catalog.count({})").format(value) for value in columns.values()),
                    target.staged,
                    rows,
                )
            ),
        )


def _refusal(error: psycopg.Error) -> str:
    # The detail has the values of the row, its keys among them: those are nobody's business.
    return f"the database refuses it: {error.diag.message_primary or 'no reason given'}"
