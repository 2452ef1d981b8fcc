"""The shape of an element that comes by the million: its markup with places for what differs, learnt from one of them.

Systems write one measurement like the next: the same tags and blanks, other ids, numbers and times. A regular
expression made of one of them recognizes those that follow, ten times faster than a parser in Python reports them.
It says yes only to text that the parser would have understood in the same way: no references to characters, comments,
CDATA sections, prefixes or declarations of namespaces are in it, and no blanks that the parser would change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from xml.parsers import expat

Leaf: TypeAlias = tuple[int, str, Mapping[str, str], str]
"""Depth below the part, counted from 1; name, attributes and text of an element that has ended."""

LONGEST: Final = 8 * 1024
"""Characters of an element whose shape is learnt."""
_NAME: Final = r"[A-Za-z][A-Za-z0-9_.-]*+"
_TAG: Final = re.compile(
    rf'<(/?)({_NAME})((?:[ \t\r\n]++{_NAME}="[^"<&]*+")*+)([ \t\r\n]*+)(/?)>([^<]*+)', re.ASCII
)
_ATTRIBUTE: Final = re.compile(rf'([ \t\r\n]++)({_NAME})="([^"]*+)"', re.ASCII)
_VARYING: Final = frozenset({"id", "xId", "value"})
"""Attributes with other values in every element; those of others are part of the shape."""
# Text is matched as Latin-1, a character for each byte. Nothing that begins with 0xEF is in it: U+FFFE and U+FFFF,
# which XML doesn't allow, do.
_INNER: Final = "!#-%'-;=?-~\x80-\xee\xf0-\xf7"
_TEXT: Final = rf'([{_INNER}"]++(?: ++[{_INNER}"]++)*+)'
_VALUE: Final = rf"([ {_INNER}]++)"
_BETWEEN: Final = r"((?:[ \t\n]|\r\n)*+)"
_BLANKS: Final = " \t\r\n"
_LONE_RETURN: Final = re.compile("\r(?!\n)")
_SLOT: Final = "\0"
"""How the text of a place in a template begins: no text of a document does."""


def slot_of(text: str | None) -> int | None:
    """Return which of the values of a match a text of a template stands for; None for one that is always the same."""
    return int(text[1:]) if text is not None and text.startswith(_SLOT) else None


@dataclass(frozen=True, eq=False)
class Shape:
    """Elements that look the same. `leaves` and `attributes` are those of all, with slots where they differ."""

    name: str
    attributes: Mapping[str, str]
    leaves: Sequence[Leaf]
    lines: Sequence[int]
    """In which line each leaf ends, counted from that where the element begins."""
    pattern: re.Pattern[str]
    """Matches the blanks before an element, which are value 0 of the match, and the element."""
    newlines: int

    @property
    def size(self) -> int:
        """Elements in one, itself included."""
        return 1 + len(self.leaves)

    def attributes_of(self, values: Sequence[str]) -> dict[str, str]:
        """Return the attributes of an element that has these values."""
        return _with(self.attributes, values)

    def leaves_of(self, values: Sequence[str]) -> list[Leaf]:
        """Return the leaves of an element that has these values."""
        return [
            (depth, name, _with(attributes, values), _filled(text, values))
            for depth, name, attributes, text in self.leaves
        ]


def learn_shape(text: str, namespace: str) -> Shape | None:
    """Return the shape of an element, given as the characters of its bytes in Latin-1; None where it has none.

    `namespace` is the default one where it stands. What expat makes of the element decides: a shape that says
    anything else is none.
    """
    shape = _Drawing().draw(text) if len(text) <= LONGEST else None
    if shape is None:
        return None
    found = shape.pattern.fullmatch(text)
    if found is None or (values := decoded(found.groups(), text)) is None:
        return None
    seen = _parsed(text, namespace)
    said = (shape.name, shape.attributes_of(values), shape.leaves_of(values))
    return shape if seen == said else None


def outlined(shape: Shape) -> list[tuple[Sequence[str], int]]:
    """Return for each leaf the names that lead to it from the element, and how many elements are right within it."""
    path: list[str] = []
    counts: list[int] = []
    holders: list[int] = []
    found: list[tuple[Sequence[str], int]] = []
    # From the end, where every element comes before those that are in it.
    for place, (depth, name, _, _) in enumerate(reversed(shape.leaves)):
        path[depth - 1 :], holders[depth - 1 :] = [name], [place]
        counts.append(0)
        if depth > 1:
            counts[holders[depth - 2]] += 1
        found.append((tuple(path), 0))
    return [(names, count) for (names, _), count in zip(found, counts, strict=True)][::-1]


def decoded(values: Sequence[str], text: str) -> Sequence[str] | None:
    """Return values as they are in UTF-8, from the characters of their bytes; None where they aren't UTF-8.

    `text` is where they are from.
    """
    if text.isascii():
        return values
    try:
        return [value if value.isascii() else value.encode("latin-1").decode() for value in values]
    except UnicodeDecodeError:
        return None


class _Drawing:
    """Makes a shape, tag by tag."""

    def __init__(self) -> None:
        self._pattern = [_BETWEEN]
        self._slots = 0
        self._newlines = 0
        self._open: list[tuple[str, dict[str, str], str]] = []
        self._leaves: list[Leaf] = []
        self._lines: list[int] = []

    def draw(self, text: str) -> Shape | None:
        """Return the shape of an element, None where something in it has no place in one."""
        if _LONE_RETURN.search(text) is not None:
            return None
        place = 0
        while (tag := _TAG.match(text, place)) is not None:
            place = tag.end()
            closing, name, attributes, blank, empty, after = tag.groups()
            if closing:
                self._literal(f"</{name}{blank}>")
            else:
                self._literal(f"<{name}")
                given = self._attributes(attributes)
                self._literal(f"{blank}{empty}>")
                own = "" if empty else self._text(after, last=text.startswith("</", place), given=given or {})
                if given is None or own is None:
                    return None
                self._open.append((name, given, own))
            if closing or empty:
                if not self._open:
                    return None
                name, given, own = self._open.pop()
                if not self._open:
                    whole = re.compile("".join(self._pattern))
                    return Shape(name, given, self._leaves, self._lines, whole, self._newlines)
                self._leaves.append((len(self._open), name, given, own))
                self._lines.append(self._newlines)
                if after.strip(_BLANKS):
                    return None  # text between elements
                self._literal(after)
        return None

    def _attributes(self, text: str) -> dict[str, str] | None:
        given: dict[str, str] = {}
        for blank, name, value in _ATTRIBUTE.findall(text):
            if name == "xmlns":
                return None
            self._literal(f'{blank}{name}="')
            if name in _VARYING and re.fullmatch(_VALUE, value):
                given[name] = self._slot(_VALUE)
            elif value.isascii() and not set(value) & set("\t\r\n"):
                given[name] = value
                self._literal(value)
            else:
                return None
            self._pattern.append('"')
        return given

    def _text(self, text: str, *, last: bool, given: Mapping[str, str]) -> str | None:
        """Return the text behind a start tag as the template has it; None where it can't be told."""
        if not text.strip(_BLANKS):
            self._literal(text)
            return ""
        if not last or not re.fullmatch(_TEXT, text):
            return None
        if "xId" in given:
            # Which document is meant: there are few of them, and what else the shape says depends on it.
            self._literal(text)
            return text if text.isascii() else None
        return self._slot(_TEXT)

    def _slot(self, pattern: str) -> str:
        self._pattern.append(pattern)
        self._slots += 1
        return f"{_SLOT}{self._slots}"

    def _literal(self, text: str) -> None:
        self._pattern.append(re.escape(text))
        self._newlines += text.count("\n")


def _filled(text: str, values: Sequence[str]) -> str:
    return values[int(text[1:])] if text.startswith(_SLOT) else text


def _with(attributes: Mapping[str, str], values: Sequence[str]) -> dict[str, str]:
    return {name: _filled(value, values) for name, value in attributes.items()}


def _parsed(text: str, namespace: str) -> tuple[str, Mapping[str, str], list[Leaf]] | None:
    """Return what expat says of an element."""
    leaves: list[Leaf] = []
    opened: list[Mapping[str, str]] = []
    pieces: list[str] = []

    def start(_: str, attributes: Mapping[str, str]) -> None:
        opened.append(attributes)
        pieces.clear()

    def end(name: str) -> None:
        own = "".join(pieces).strip(_BLANKS)
        pieces.clear()
        given = opened.pop()
        leaves.append((len(opened) - 1, name.removeprefix(f"{namespace} "), given, own))

    parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = pieces.append
    try:
        parser.Parse(f'<part xmlns="{namespace}">'.encode() + text.encode("latin-1") + b"</part>")
    except expat.ExpatError:
        return None
    leaves.pop()
    _, name, attributes, _ = leaves.pop()
    return name, attributes, leaves
