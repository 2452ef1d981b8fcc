"""Feeds a parser, and recognizes the elements of long lists by their shapes without it.

The parser has the say: only where it stands right within such a list, at the end of what it was fed, is the text
that follows looked at. What is recognized there is reported, and the parser gets the line breaks of it, to count. All
else is the parser's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from dotpeen_qif.model import NAMESPACE
from dotpeen_qif.reading.shapes import LONGEST, Shape, decoded, learn_shape
from dotpeen_qif.reading.xml import XmlStream

Take: TypeAlias = Callable[[Sequence[str], int], None]
"""Gets the values of an element that was recognized, and its line."""
Learn: TypeAlias = Callable[[Shape], Take | None]

LIST: Final = "CharacteristicMeasurements"
"""Name of the lists."""
_OPENING: Final = re.compile(r"[ \t\r\n]*+<([A-Za-z][A-Za-z0-9_.-]*+)[ \t\r\n>]", re.ASCII)
_MOST_SHAPES: Final = 64
_MOST_TRIES: Final = 256
_ENDING: Final = f"</{LIST}"
_DECEIVING: Final = ("<!", "<?", f"<{LIST}")
"""What may hide the end of a list, or look like one: comments, CDATA sections, instructions, lists within lists."""


class NotPassableError(Exception):
    """Where a list ends can't be told without parsing it."""


class Skimmer:
    """Gets the pieces of a document, in order."""

    def __init__(
        self,
        stream: XmlStream,
        within: Callable[[], bool],
        learn: Learn,
        passed: Callable[[int, int], None],
        *,
        passing: bool = False,
    ) -> None:
        """`within` tells whether the parser stands right within a list.

        `learn` gets every new shape and returns what takes its elements, None when they are for the parser. `passed`
        is called with the number of parts, and of elements in them, that the parser did not see. With `passing`
        nobody wants what is in the lists: their ends are looked for, and what is before them is not read at all.
        """
        self._passing = passing
        self._stream = stream
        self._within = within
        self._learn = learn
        self._passed = passed
        self._rest = b""
        self._shapes: list[tuple[Callable[[str, int], re.Match[str] | None], Take, Shape]] = []
        self._next: list[int] = []
        """Which shape came after each, the last time."""
        self._last = 0
        self._tries = 0

    def feed(self, chunk: bytes) -> None:
        """Read some more; raises what the parser raises, and those that are called.

        With `passing`, raises `NotPassableError` at a list that has to be read, and stands within it then.
        """
        data = self._rest + chunk if self._rest else chunk
        self._rest = data[self._read(data) :]

    def close(self) -> None:
        """Read what is left, and the end."""
        if self._rest:
            self._stream.feed(self._rest)
            self._rest = b""
        self._stream.close()

    def _read(self, data: bytes) -> int:
        """Read what can be told; returns how much that is."""
        text = data.decode("latin-1")
        size = len(text)
        place = 0
        while place < size:
            if self._ready():
                place = self._pass(text, place) if self._passing else self._skim(text, place)
                if self._passing and not text.startswith(_ENDING, place):
                    return place
                end = self._part(text, place)
                if end < 0:
                    if size - place <= LONGEST:
                        return place
                    end = size
            else:
                end = self._before_list(text, place)
                if end == place:
                    return place
            self._stream.feed(data[place:end])
            if self._tries < _MOST_TRIES and self._ready():
                self._study(text[place:end])
            place = end
        return place

    def _ready(self) -> bool:
        stream = self._stream
        return self._within() and stream.settled and stream.space == NAMESPACE

    @staticmethod
    def _before_list(text: str, place: int) -> int:
        """Return up to where there is no list, or to the end of the tag that begins one."""
        found = text.find(LIST, place)
        end = -1 if found < 0 else text.find(">", found)
        if end >= 0:
            return end + 1
        # What the last tag is, is told when it is complete, if it may be one of a list at all.
        begun = text.rfind("<", max(place, len(text) - 256))
        return len(text) if begun < 0 else begun

    @staticmethod
    def _part(text: str, place: int) -> int:
        """Return where the next part of a list ends, or the next tag that is none; -1 where that can't be seen yet."""
        opening = _OPENING.match(text, place)
        if opening is None:
            return text.find(">", place) + 1 or -1
        closing = f"</{opening[1]}>"
        found = text.find(closing, opening.end())
        return -1 if found < 0 else found + len(closing)

    def _study(self, text: str) -> None:
        """Learn the shape of a part that the parser has read."""
        part = text.lstrip(" \t\r\n")
        if len(self._shapes) >= _MOST_SHAPES or not part.startswith("<") or part.startswith("</"):
            return
        self._tries += 1
        shape = learn_shape(part, NAMESPACE)
        take = None if shape is None else self._learn(shape)
        if shape is not None and take is not None:
            self._shapes.append((shape.pattern.match, take, shape))
            self._next.append(len(self._next))

    def _pass(self, text: str, place: int) -> int:
        """Pass over what is in a list, up to its end or the last tag that is there; returns where that begins."""
        end = text.find(_ENDING, place)
        if end < 0:
            begun = text.rfind("<", place)
            # A line break of two characters is counted when both are there.
            end = begun if begun >= 0 else max(place, len(text) - text.endswith("\r"))
        if len(text) - end > LONGEST and not text.startswith(_ENDING, end):
            raise NotPassableError  # a tag without an end: the parser has limits for that
        if any(text.find(mark, place, end) >= 0 for mark in _DECEIVING):
            raise NotPassableError
        lines = text.count("\n", place, end) + text.count("\r", place, end) - text.count("\r\n", place, end)
        if lines:
            self._stream.feed(b"\n" * lines)
        return end

    def _skim(self, text: str, place: int) -> int:
        """Take the parts that are recognized; returns where the first other one begins."""
        shapes, following, last = self._shapes, self._next, self._last
        if not shapes:
            return place
        plain = text.isascii()
        first = line = self._stream.line
        parts = elements = 0
        index = following[last]
        while True:
            found = shapes[index][0](text, place)
            if found is None:
                for index in range(len(shapes)):
                    found = shapes[index][0](text, place)
                    if found is not None:
                        break
                else:
                    break
            values: Sequence[str] | None = found.groups()
            if not plain and (values := decoded(found.groups(), found[0])) is None:
                break  # not UTF-8: the parser says so
            assert values is not None  # noqa: S101
            _, take, shape = shapes[index]
            if values[0]:
                line += values[0].count("\n")
            take(values, line)
            line += shape.newlines
            parts += 1
            elements += shape.size
            place = found.end()
            following[last] = last = index
            index = following[index]
        self._last = last
        if parts:
            self._passed(parts, elements)
            if line > first:
                self._stream.feed(b"\n" * (line - first))
        return place
