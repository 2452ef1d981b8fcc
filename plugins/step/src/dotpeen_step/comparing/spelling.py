"""Values of a file as they are shown to people: short, and as the file would write them."""

from __future__ import annotations

from typing import Final

from dotpeen_step.part21 import (
    Absent,
    Binary,
    Enumeration,
    OccurrenceName,
    Reference,
    Resource,
    Typed,
    Value,
)

_LONGEST: Final = 80


def spelled(value: Value) -> str:
    """Return a value in the spelling of ISO 10303-21, references as `#…`; what is long is cut."""
    pieces: list[str] = []
    length = 0
    for piece in _pieces(value):
        pieces.append(piece)
        length += len(piece)
        if length > _LONGEST:
            break
    text = "".join(pieces)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _pieces(value: Value) -> list[str]:
    """Return the pieces of a value, the deepest lists first found; nothing recurs."""
    said: list[str] = []
    waiting: list[Value | _Mark] = [value]
    while waiting and len(said) < _LONGEST:
        one = waiting.pop()
        if isinstance(one, _Mark):
            said.append(one.text)
        elif isinstance(one, tuple):
            waiting.append(_CLOSE)
            waiting.extend(_separated(one))
            said.append("(")
        elif isinstance(one, Typed):
            waiting.append(one.parameters)
            said.append(one.keyword)
        else:
            said.append(_atom(one))
    return said


class _Mark:
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_COMMA: Final = _Mark(",")
_CLOSE: Final = _Mark(")")


def _separated(values: tuple[Value, ...]) -> list[Value | _Mark]:
    turned: list[Value | _Mark] = []
    for value in values[: _LONGEST + 1]:
        turned += (value, _COMMA)
    return turned[:-1][::-1]


def _atom(value: Value) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case Enumeration(name):
            return f".{name}."
        case Binary(text):
            return f'"{text}"'
        case Resource(uri):
            return f"<{uri}>"
        case Reference():
            return "#…"
        case OccurrenceName(text):
            return text
        case Absent():
            return str(value.value)
        case float():
            return f"{value:.15g}" if "e" in f"{value:.15g}" or "." in f"{value:.15g}" else f"{value:.15g}."
        case _:
            return str(value)
