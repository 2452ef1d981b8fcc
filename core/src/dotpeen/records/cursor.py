"""Cursors: where a list goes on, as one opaque text. Nothing in it that the page itself doesn't show."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dotpeen.errors import InvalidQueryError
from dotpeen.identifiers import parse_uuid
from dotpeen.records import values
from dotpeen.records.fields import Field, UuidPlace

_LONGEST: Final = 16_384
_MAX: Final = 2**62


@dataclass(frozen=True)
class Cursor:
    """The last record that was shown: its value of each field of the order, None for NULL."""

    position: tuple[str | None, ...]
    total: int
    """Records in all, counted for the first page."""
    offset: int
    """Records shown so far."""

    def write(self, digest: str) -> str:
        """Return the text; `digest` names the query."""
        document = [digest, self.total, self.offset, list(self.position)]
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, digest: str, order: Sequence[Field | UuidPlace]) -> Cursor:
    """Read what `Cursor.write` wrote for the same query.

    Raises `InvalidQueryError` for anything else, whatever was done to it.
    """
    wrong = InvalidQueryError("cursor", "this is no cursor of this list")
    if len(text) > _LONGEST or re.fullmatch(r"[A-Za-z0-9_-]+", text, re.ASCII) is None:
        raise wrong
    try:
        document = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        written, total, offset, position = document
    except (ValueError, TypeError, RecursionError):
        raise wrong from None
    if not _counts(total, offset) or not isinstance(position, list) or len(position) != len(order):
        raise wrong
    if written != digest:
        raise InvalidQueryError("cursor", "belongs to a list with other filters, or in another order")
    try:
        checked = tuple(_value(member, value) for member, value in zip(order, position, strict=True))
    except ValueError:
        raise wrong from None
    return Cursor(checked, total, offset)


def _counts(*numbers: object) -> bool:
    return all(type(number) is int and 0 <= number < _MAX for number in numbers)


def _value(member: Field | UuidPlace, value: object) -> str | None:
    if value is None and isinstance(member, Field) and member.nullable:
        return None
    if not isinstance(value, str):
        raise ValueError("not a text")
    return values.parse(member, value) if isinstance(member, Field) else str(parse_uuid(value))
