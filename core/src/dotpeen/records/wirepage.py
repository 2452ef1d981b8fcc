"""A page of a list in the wire format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dotpeen.records.cursor import Cursor
from dotpeen.records.query import PageQuery
from dotpeen.records.question import Row, WireRow, wire_row


@dataclass(frozen=True, slots=True)
class WirePage:
    """Some records of a list, and where it goes on."""

    records: tuple[WireRow, ...]
    total: int
    """Records in all, as counted for the first page."""
    limit: int
    offset: int
    """Records before this page."""
    has_more: bool
    next_cursor: str | None

    @property
    def rows(self) -> list[bytes]:
        """The records as JSON."""
        return [record.body for record in self.records]

    @classmethod
    def of(cls, rows: Sequence[Row], query: PageQuery, *, total: int, has_more: bool) -> WirePage:
        """Make a page of the rows that `pages.page` selects."""
        cursor = None
        if has_more:
            position = tuple(value.decode() if value is not None else None for value in rows[-1][3:])
            cursor = Cursor(position, total, query.offset + len(rows)).write(query.digest)
        return cls(
            records=tuple(wire_row(row) for row in rows),
            total=total,
            limit=query.limit,
            offset=query.offset,
            has_more=has_more,
            next_cursor=cursor,
        )
