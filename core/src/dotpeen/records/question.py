"""What is asked, apart from who carries it: a question yields statements, is sent their rows, and returns its answer.

One text of each question serves the synchronous and the asynchronous classes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.pq.abc import PGresult

from dotpeen.errors import DotpeenError, InvalidQueryError, NotMigratedError, RecordConflictError
from dotpeen.records.shape import Shape

T = TypeVar("T")
Row: TypeAlias = tuple[bytes | None, ...]
"""The columns of a row as PostgreSQL sent them, in UTF-8: nothing is parsed only to be written again."""


@dataclass(frozen=True)
class Ask:
    """One statement and its parameters."""

    query: sql.Composed
    parameters: Sequence[str | None] = ()
    prepare: bool | None = None
    """Prepare it at once: asked again and again, with the same text."""


Question: TypeAlias = Generator[Ask, list[Row], T]


@dataclass(frozen=True, slots=True)
class WireRow:
    """A record in the wire format."""

    uuid: str | None
    """None where the entity has no UUIDs."""
    body: bytes
    """JSON."""
    key: str = ""
    """The primary key, for internal callers only."""

    @property
    def quoted_key(self) -> str:
        """The primary key as a part of a URL."""
        return quote(self.key, safe="")


@dataclass(frozen=True, slots=True)
class Match:
    """A record that answered to an identifier, and the name of the identifier that it was."""

    row: WireRow
    matched_by: str


def rows_of(result: PGresult | None) -> list[Row]:
    """Return the rows of a result."""
    if result is None:
        return []
    columns = range(result.nfields)
    return [tuple(result.get_value(number, column) for column in columns) for number in range(result.ntuples)]


def wire_row(row: Row) -> WireRow:
    """Read the columns UUID, key and JSON."""
    uuid, key, body = row[:3]
    return WireRow(uuid.decode() if uuid else None, body or b"{}", (key or b"").decode())


_GONE: Final = (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable)


def refusal(error: psycopg.Error, shape: Shape | None) -> DotpeenError | None:
    """Return what an error of the database means to who asked; None for what isn't about the question."""
    entity = shape.entity.name if shape else ""
    if isinstance(error, _GONE):
        return NotMigratedError(entity or "the entity", "its table is not what it was when it was looked at")
    if isinstance(error, psycopg.DataError):
        return InvalidQueryError("", "a value can't be what it is compared with")
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):
        return InvalidQueryError("", "a value is too long to be compared with")
    if isinstance(error, psycopg.errors.RaiseException):
        return RecordConflictError(entity, (), "a rule of the database refuses it")
    return None
