"""Rows on their way into temporary tables: gathered by the thousand, sent with COPY, never many in memory."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from psycopg import sql

from dotpeen.database import Connection

BATCH: Final = 5_000
"""Rows sent at once: a megabyte."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL: Final = "\\N"


def text(value: str | None) -> str:
    """A text as COPY reads it."""
    return NULL if value is None else value.translate(_ESCAPES)


def number(value: Decimal | int | None) -> str:
    """A number as COPY reads it."""
    return NULL if value is None else str(value)


def flag(value: bool) -> str:  # noqa: FBT001 - one of COPY's values
    """A truth value as COPY reads it."""
    return "t" if value else "f"


class Rows:
    """The rows of one temporary table."""

    def __init__(self, connection: Connection, table: str, columns: tuple[str, ...]) -> None:
        self._connection = connection
        self._lines: list[str] = []
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier("pg_temp", table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        self.total = 0

    def add(self, *values: str) -> None:
        """Add a row of values in COPY's text form; sends a batch when there are enough."""
        self._lines.append("\t".join(values))
        if len(self._lines) >= BATCH:
            self.flush()

    @property
    def line(self) -> Callable[[str], None]:
        """Adds a row that is joined already, for the many: whoever calls it flushes."""
        return self._lines.append

    @property
    def waiting(self) -> int:
        """Rows that were not sent yet."""
        return len(self._lines)

    def flush(self) -> None:
        """Send what is waiting."""
        if not self._lines:
            return
        with self._connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            copy.write("\n".join(self._lines) + "\n")
        self.total += len(self._lines)
        self._lines.clear()
