"""The ids of a document: numbers, each used once."""

from __future__ import annotations


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


def id_of(text: str) -> int | None:
    """Return the number of an id as the schemas have it: without zeros before it; None for another text."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 10:
        return int(text)
    return None
