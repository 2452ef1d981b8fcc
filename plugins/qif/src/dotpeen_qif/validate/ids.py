"""The ids of a document, and its UUIDs: each used once."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_PARTS: Final = 64


class Ids:
    """A set of numbers that are mostly dense: a bit each."""

    def __init__(self) -> None:
        self._bits: dict[int, int] = {}
        self.largest = 0

    def add(self, number: int) -> bool:
        """Add a number; False when it is there already."""
        page, bit = number >> 6, 1 << (number & 63)
        bits = self._bits.get(page, 0)
        self._bits[page] = bits | bit
        if number > self.largest:
            self.largest = number
        return not bits & bit

    def __contains__(self, number: int) -> bool:
        return bool(self._bits.get(number >> 6, 0) & (1 << (number & 63)))


class Lines:
    """Which texts are in which lines, as hashes: 16 bytes for each, where a dictionary takes 200."""

    def __init__(self) -> None:
        # Divided by the hash, as each part is sorted by itself: sorting takes 80 bytes for each.
        self._parts = [(array("q"), array("L")) for _ in range(_PARTS)]

    def add(self, text: str, line: int) -> None:
        """Add a text."""
        number = hash(text)
        hashes, lines = self._parts[number % _PARTS]
        hashes.append(number)
        lines.append(line)

    def repeated(self) -> Iterator[tuple[int, int]]:
        """Yield the lines of texts that were there before, each with the line of the one before."""
        for hashes, lines in self._parts:
            order = sorted(range(len(hashes)), key=hashes.__getitem__)
            for before, after in pairwise(order):
                if hashes[before] == hashes[after]:
                    yield lines[after], lines[before]


def id_of(text: str) -> int | None:
    """Return the number of an id as the schemas have it: without zeros before it; None for another text."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 10:
        return int(text)
    return None
