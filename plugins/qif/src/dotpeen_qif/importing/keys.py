"""Primary keys of new records by the thousand, of the forms that `Records.create` makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, Literal
from uuid import uuid4

from dotpeen.identifiers import new_cuid

KeyForm = Literal["cuid", "cuid2", "uuid"]
_DIGITS: Final = b"0123456789abcdefghijklmnopqrstuvwxyz"
_BLOCK: Final = 1 << 16
# 252 is the largest multiple of 36 in a byte: what is above it is thrown away, or some digits would come more often.
_FAIR: Final = bytes(range(252, 256))
_TABLE: Final = bytes(_DIGITS[byte % 36] for byte in range(256))
_STAMP: Final = 9
"""Characters of a CUID that tell the time: `c` and eight digits."""
_STAMPED: Final = 64
"""Keys with one time: they are asked for within a few milliseconds."""


def new_keys(form: KeyForm | None) -> Callable[[], str]:
    """Return a function that makes a key. `new_cuid` takes 15 µs for each, which is 15 s of a million; this 0.5 µs.

    An empty table doesn't tell the form of its keys: they become CUIDs.
    """
    if form == "uuid":
        return lambda: str(uuid4())
    return (_cuid2() if form == "cuid2" else _cuid()).__next__


def _cuid() -> Iterator[str]:
    while True:
        digits = _random()
        for block in range(0, len(digits) - 16 * _STAMPED, 16 * _STAMPED):
            stamp = new_cuid()[:_STAMP]
            for start in range(block, block + 16 * _STAMPED, 16):
                yield stamp + digits[start : start + 16]


def _cuid2() -> Iterator[str]:
    while True:
        digits = _random()
        for start in range(0, len(digits) - 24, 24):
            key = digits[start : start + 24]
            if key[0].isalpha():
                yield key


def _random() -> str:
    return os.urandom(_BLOCK).translate(_TABLE, _FAIR).decode("ascii")
