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

_REFERENCE, _NUMBER, _POINT, _STRING, _BINARY = range(1, 6)
_KINDS: Final = bytearray(256)
"""By the first byte of a token: what it can be; 0 for what is left as it is."""
for _kind, _starts in (
    (_REFERENCE, b"#"),
    (_NUMBER, b"+-0123456789"),
    (_POINT, b"."),
    (_STRING, b"'"),
    (_BINARY, b'"'),
):
    for _start in _starts:
        _KINDS[_start] = _kind
_AS_THEY_ARE: Final = frozenset(b"'<")
"""First bytes of tokens in which small letters count."""
_EXACT: Final = 2**53
"""Below this every whole number is a double of its own."""
_LONGEST_INTEGER: Final = 4000
"""Digits that Python turns into a number without being asked twice."""

_MOST_NUMBERS: Final = 16_384
_numbers: Final[dict[bytes, bytes]] = {}
"""The last numbers: a coordinate stands in a file some ten times, and mostly near itself."""


def content(raw: bytes) -> tuple[bytes, list[int]]:
    """Return what an instance says, and the instances it refers to, in their order.

    The text is the same for any instance name, layout, comments and spelling of numbers and strings; every reference is
    a mere `#` in it. Numbers are the same where their double precision is: `0.5`, `5.E-1`, and `-0.` is `0`.
    """
    tokens = _TOKEN.findall(raw)
    if b"/*" in raw:
        tokens = [token for token in tokens if not token.startswith(b"/*")]
    if not raw.isupper():
        tokens = [token if token[0] in _AS_THEY_ARE else token.upper() for token in tokens]
    if b"REPRESENTATION_CONTEXT" in tokens:
        tokens = _without_labels(tokens)
    said: list[bytes] = []
    references: list[int] = []
    for token in tokens[1:]:
        kind = _KINDS[token[0]]
        if not kind:
            said.append(token)
        elif kind == _REFERENCE and token[1:].isdigit():
            references.append(int(token[1:]))
            said.append(b"#")
        elif kind == _NUMBER or (kind == _POINT and _KINDS[token[1]] == _NUMBER):
            said.append(_numbers.get(token) or number(token))
        elif kind == _STRING:
            said.append(_string(token))
        elif kind == _BINARY:
            said.append(b"".join(token.split()))
        else:
            said.append(token)
    return b"\0".join(said), references


def number(token: bytes) -> bytes:
    """Return a number as it is always written here: `1` for `1.`, `+1` and `10.E-1`."""
    if len(_numbers) >= _MOST_NUMBERS:
        _numbers.clear()
    said = _numbers[token] = _number(token)
    return said


def _number(token: bytes) -> bytes:
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
