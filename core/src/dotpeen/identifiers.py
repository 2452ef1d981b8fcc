"""Parse identifiers: what counts as a UUID, and what merely looks like one.

Python's `uuid.UUID(text)` and PostgreSQL's cast accept far more than a UUID's text form (underscores, full-width
digits, braces, misplaced hyphens), so neither decides here.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from dotpeen.errors import DotpeenError

UUID_PATTERN: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", re.ASCII)
"""RFC 9562 text form, any version and variant: partners and CAD systems send wrong version digits."""

CANONICAL_UUID_SQL: Final = "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"
"""The form UUIDs are stored in (lower case, hyphens) as a PostgreSQL regular expression, for text columns."""

_CUID: Final = re.compile(r"c[a-z0-9]{24}", re.ASCII)
_CUID2: Final = re.compile(r"[a-z][a-z0-9]{23}", re.ASCII)
_URN: Final = "urn:uuid:"
_BLANKS: Final = " \t\r\n\f\v\u00a0\ufeff"
_PART: Final = re.compile(r"(?:[^%:]|%25|%3A)*", re.IGNORECASE | re.DOTALL)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

NIL: Final = UUID(int=0)
MAX: Final = UUID(int=2**128 - 1)
_IDENTIFY_NOTHING: Final = frozenset({str(NIL), str(MAX)})


class InvalidUuidError(DotpeenError, ValueError):
    """A text is no UUID; `value` is the text."""

    exit_code = 2

    def __init__(self, value: str, reason: str) -> None:
        self.value = value
        self.reason = reason
        super().__init__(
            f"{value!r} is no UUID: {reason}", hint="a UUID looks like 550e8400-e29b-41d4-a716-446655440000"
        )


class InvalidCompositeError(DotpeenError, ValueError):
    """A text is no composite identifier; `value` is the text."""

    exit_code = 2

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(
            f"{value!r} is no composite identifier: a % that is neither %25 nor %3A",
            hint="join the parts with ':'; write % as %25 and : as %3A inside a part",
        )


def canonical_uuid(text: str) -> str:
    """Check the RFC 9562 text form, upper or lower case, exactly, and return it in lower case.

    Raises `InvalidUuidError` for anything else, and for the nil and the max UUID, which identify nothing.
    """
    if UUID_PATTERN.fullmatch(text) is None:
        raise InvalidUuidError(text, "not 8-4-4-4-12 hexadecimal digits")
    canonical = text.lower()
    if canonical in _IDENTIFY_NOTHING:
        raise InvalidUuidError(text, "the nil and max UUIDs identify nothing")
    return canonical


def canonical_uuids(texts: Sequence[str]) -> list[str]:
    """Do as `canonical_uuid` does, for many at a fifteenth of the cost; raises the same for the first that is none."""
    joined = ",".join(texts)
    if _has_form(joined, len(texts)):
        canonical = joined.lower().split(",")
        if _IDENTIFY_NOTHING.isdisjoint(canonical):
            return canonical
    return [canonical_uuid(text) for text in texts]


def _has_form(joined: str, count: int) -> bool:
    """Tell whether a text is so many UUIDs with commas between: hyphens and commas in their places, else digits."""
    if len(joined) != 37 * count - 1 or joined[36::37] != "," * (count - 1):
        return False
    if any(joined[place::37] != "-" * count for place in (8, 13, 18, 23)):
        return False
    try:
        # Blanks are skipped, and missing in the length.
        return len(bytes.fromhex(joined.replace("-", "").replace(",", ""))) == 16 * count
    except ValueError:
        return False


def parse_uuid(text: str) -> UUID:
    """Return the UUID that `canonical_uuid` accepts; raises the same."""
    return UUID(canonical_uuid(text))


def read_uuid(text: str) -> UUID:
    """Parse a UUID as people and files write it: `urn:uuid:` before it, braces and blanks around it.

    For file importers and the command line; routes take `parse_uuid`. Raises `InvalidUuidError`.
    """
    bare = text.strip(_BLANKS)
    if bare[: len(_URN)].lower() == _URN:
        bare = bare[len(_URN) :]
    elif bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1].strip(_BLANKS)
    try:
        return parse_uuid(bare)
    except InvalidUuidError as error:
        raise InvalidUuidError(text, error.reason) from None


def find_uuid(text: str) -> str | None:
    """Return the UUID that a text is, written as `read_uuid` takes it, in its canonical form; None for other texts."""
    try:
        return str(read_uuid(text))
    except InvalidUuidError:
        return None


def is_cuid(text: str) -> bool:
    """Tell whether a text has the form of a CUID: a hint only, a part number may have it too."""
    return _CUID.fullmatch(text) is not None


def is_cuid2(text: str) -> bool:
    """Tell whether a text has the form of a CUID2 of the default length 24: a hint only."""
    return _CUID2.fullmatch(text) is not None


def new_cuid() -> str:
    """Return a new CUID: `c`, the time in eight digits of base 36, sixteen random digits (82 bits)."""
    milliseconds = time.time_ns() // 1_000_000
    stamp = ""
    for _ in range(8):
        milliseconds, digit = divmod(milliseconds, 36)
        stamp = _DIGITS[digit] + stamp
    return "c" + stamp + _random(16)


def new_cuid2() -> str:
    """Return a new text of the form of a CUID2: a letter, 23 random digits (118 bits)."""
    return secrets.choice(_DIGITS[10:]) + _random(23)


def split_composite(text: str) -> tuple[str, ...]:
    """Split `A:B` into its parts, and take the escapes `%3A` (`:`) and `%25` (`%`) back.

    Raises `InvalidCompositeError` for any other use of `%`.
    """
    parts = text.split(":")
    if not all(_PART.fullmatch(part) for part in parts):
        raise InvalidCompositeError(text)
    return tuple(re.sub("%3A", ":", part, flags=re.IGNORECASE).replace("%25", "%") for part in parts)


def join_composite(parts: Sequence[str]) -> str:
    """Join the parts of a composite identifier: `split_composite` takes them apart again."""
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def _random(digits: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(digits))
