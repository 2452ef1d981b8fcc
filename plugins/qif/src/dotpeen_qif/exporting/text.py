"""Text and numbers as XML holds them.

XML 1.0 has no room for most control characters. They are written as their pictures (U+0007 as U+2407, which a reader
sees as BEL), the two noncharacters U+FFFE and U+FFFF as U+FFFD. Carriage returns, and in attributes tabs and line feeds
too, are written as references: a parser would turn them into something else.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_ILLEGAL: Final = {
    **{code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A, 0x0D)},
    **dict.fromkeys((0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), "\ufffd"),
}
_TEXT: Final = str.maketrans({**_ILLEGAL, "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE: Final = str.maketrans(
    {
        **_TEXT,
        ord('"'): "&quot;",
        ord("\t"): "&#9;",
        ord("\n"): "&#10;",
    }
)
_LEGAL: Final = str.maketrans(_ILLEGAL)
_SUSPECT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
ILLEGAL_SQL: Final = "[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]"
"""The same as a regular expression of PostgreSQL, whose texts have no NUL and no surrogates."""


def text(value: str) -> str:
    """Return a text as the content of an element."""
    return value.translate(_TEXT)


def attribute(value: str) -> str:
    """Return a text as the value of an attribute, without its quotes."""
    return value.translate(_ATTRIBUTE)


def legal(value: str) -> str:
    """Return a text without what XML can't hold, not escaped."""
    return value.translate(_LEGAL)


def is_altered(value: str) -> bool:
    """Tell whether a text has characters that XML can't hold."""
    return _SUSPECT.search(value) is not None


def number(value: Decimal) -> str:
    """Return a finite number as `xs:decimal`: every digit, no exponent."""
    return format(value, "f")


def finite(value: str | None) -> Decimal | None:
    """Return the number that PostgreSQL writes like this; None for NULL, NaN and infinity."""
    if value is None:
        return None
    decimal = Decimal(value)
    return decimal if decimal.is_finite() else None
