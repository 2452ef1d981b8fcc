"""Decode parameters: text that was checked before becomes values. No recursion, whatever the depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from dotpeen_step.part21 import grammar, strings
from dotpeen_step.part21.values import (
    Absent,
    Binary,
    Enumeration,
    OccurrenceName,
    Reference,
    Resource,
    Typed,
    Value,
)

_TOKENS: Final = re.compile(rb"%s(?:%s|\Z)" % (grammar.BLANK, grammar.TOKEN.pattern))
_SPACE: Final = re.compile(rb"\s+")


def _number(text: bytes) -> int | float:
    try:
        return int(text)
    except ValueError:  # a real, or an integer of more digits than Python reads
        return float(text)


def _name(text: bytes) -> Value:
    try:
        return Reference(int(text[1:]))
    except ValueError:  # more digits than Python reads: no instance has that name
        return OccurrenceName(text.decode("ascii"))


_DECODERS: Final[dict[str, Callable[[bytes], Value]]] = {
    "name": _name,
    "number": _number,
    "string": lambda text: strings.decode(text[1:-1]),
    "enumeration": lambda text: Enumeration(text[1:-1].decode("ascii").upper()),
    "absent": lambda text: Absent(text.decode("ascii")),
    "binary": lambda text: Binary(_SPACE.sub(b"", text[1:-1]).decode("ascii").upper()),
    "resource": lambda text: Resource(strings.decode(text[1:-1])),
    "other": lambda text: OccurrenceName(text.decode("ascii")),
}


def tokens(text: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Yield kind, text and offset of every token of a text that was checked; blanks and comments are left out."""
    for token in _TOKENS.finditer(text):
        kind = token.lastgroup
        if kind is not None:
            yield kind, token[kind], token.start(kind)


def parameters(text: bytes) -> tuple[Value, ...]:
    """Return the items of a text such as `1.5,#12,(.T.,'x'),LENGTH_MEASURE(2.)`, without outer parentheses."""
    outer: list[tuple[str | None, list[Value]]] = []
    items: list[Value] = []
    keyword: str | None = None
    for token in _TOKENS.finditer(text):
        kind = token.lastgroup
        if kind == "mark":
            mark = token["mark"]
            if mark == b"(":
                outer.append((keyword, items))
                keyword, items = None, []
            elif mark == b")":
                inner = tuple(items)
                name, items = outer.pop()
                items.append(inner if name is None else Typed(name, inner))
        elif kind == "keyword":
            keyword = token["keyword"].decode("ascii").upper()
        elif kind is not None:
            items.append(_DECODERS[kind](token[kind]))
    return tuple(items)
