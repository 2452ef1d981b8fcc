"""Parse identifiers: what counts as a UUID, and what merely looks like one.

Python's `uuid.UUID(text)` and PostgreSQL's cast accept far more than a UUID's text form (underscores, full-width
digits, braces, misplaced hyphens), so neither decides here.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from dotpeen.errors import DotpeenError

UUID_PATTERN: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", re.ASCII)
"""RFC 9562 text form, any version and variant: partners and CAD systems send wrong version digits."""

CANONICAL_UUID_SQL: Final = "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"
"""The form UUIDs are stored in (lower case, hyphens) as a PostgreSQL regular expression, for text columns."""

NIL: Final = UUID(int=0)
MAX: Final = UUID(int=2**128 - 1)


class InvalidUuidError(DotpeenError, ValueError):
    """A text is no UUID; `value` is the text."""

    exit_code = 2

    def __init__(self, value: str, reason: str) -> None:
        self.value = value
        super().__init__(
            f"{value!r} is no UUID: {reason}", hint="a UUID looks like 550e8400-e29b-41d4-a716-446655440000"
        )


def parse_uuid(text: str) -> UUID:
    """Parse the RFC 9562 text form, upper or lower case, exactly.

    Raises `InvalidUuidError` for anything else, and for the nil and the max UUID, which identify nothing.
    """
    if UUID_PATTERN.fullmatch(text) is None:
        raise InvalidUuidError(text, "not 8-4-4-4-12 hexadecimal digits")
    value = UUID(text)
    if value in (NIL, MAX):
        raise InvalidUuidError(text, "the nil and max UUIDs identify nothing")
    return value
