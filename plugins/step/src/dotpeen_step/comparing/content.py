"""What an instance says, whatever its number is and however it is written."""

from __future__ import annotations

import math
import re
from typing import Final

_TOKEN: Final = re.compile(
    rb"/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
    rb"|'[^']*+(?:''[^']*+)*+'"
    rb'|"[^"]*+"'
    rb"|<[^>]*+>"
    rb"|[#@][0-9A-Za-z_]++"
    rb"|\.[A-Za-z_][A-Za-z0-9_]*+\."
    rb"|!?[A-Za-z_][A-Za-z0-9_]*+"
    rb"|[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[Ee][+-]?[0-9]++)?+"
    rb"|[()$*]"
)
"""The tokens of ISO 10303-21, 5.3, of text that was checked before. Blanks and commas say nothing between them."""

_NUMBER_STARTS: Final = frozenset(b"+-0123456789")
_REFERENCE: Final = ord("#")
_STRING: Final = ord("'")
_POINT: Final = ord(".")
_RESOURCE: Final = ord("<")
_BINARY: Final = ord('"')
_EXACT: Final = 2**53
"""Below this every whole number is a double of its own."""
_LONGEST_INTEGER: Final = 4000
"""Digits that Python turns into a number without being asked twice."""


def content(raw: bytes) -> tuple[bytes, list[int]]:
    """Return what an instance says, and the instances it refers to, in their order.

    The text is the same for any instance name, layout, comments and spelling of numbers and strings; every reference is
    a mere `#` in it. Numbers are the same where their double precision is: `0.5`, `5.E-1`, and `-0.` is `0`.
    """
    tokens = _TOKEN.findall(raw)
    if b"/*" in raw:
        tokens = [token for token in tokens if not token.startswith(b"/*")]
    if b"REPRESENTATION_CONTEXT" in raw.upper():
        tokens = _without_labels(tokens)
    said: list[bytes] = []
    references: list[int] = []
    for token in tokens[1:]:
        first = token[0]
        if first == _REFERENCE and token[1:].isdigit():
            references.append(int(token[1:]))
            said.append(b"#")
        elif first in _NUMBER_STARTS or (first == _POINT and token[1] in _NUMBER_STARTS):
            said.append(number(token))
        elif first == _STRING:
            said.append(_string(token))
        elif first == _BINARY:
            said.append(b"".join(token.split()).upper())
        else:
            said.append(token if first == _RESOURCE else token.upper())
    return b"\0".join(said), references


def number(token: bytes) -> bytes:
    """Return a number as it is always written here: `1` for `1.`, `+1` and `10.E-1`."""
    if b"." not in token and b"E" not in token and b"e" not in token:
        return b"%d" % int(token) if len(token) < _LONGEST_INTEGER else token
    value = float(token)
    if math.isinf(value):
        return token
    if value.is_integer() and abs(value) < _EXACT:
        return b"%d" % int(value)
    return repr(value).encode("ascii")


def _string(token: bytes) -> bytes:
    """Return a string as it is always written here; line breaks within are no part of it (ISO 10303-21, 5.3)."""
    if b"\\" not in token and b"\n" not in token and b"\r" not in token:
        return token
    from dotpeen_step.part21.strings import decode

    text = decode(token[1:-1]).replace("'", "''")
    return b"'" + text.encode("utf-8", "surrogatepass") + b"'"


def _without_labels(tokens: list[bytes]) -> list[bytes]:
    """Leave out what a representation context is called: some systems write the file's name there."""
    kept: list[bytes] = []
    inside = False
    for token in tokens:
        if inside and token[:1] == b"'":
            continue
        inside = token.upper() == b"REPRESENTATION_CONTEXT" or (inside and token != b")")
        kept.append(token)
    return kept
