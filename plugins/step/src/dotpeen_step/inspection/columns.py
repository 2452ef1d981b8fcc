"""Whole numbers in as little memory as they take."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final, Literal

_WIDTHS: Final[tuple[Literal["B", "H", "I", "Q"], ...]] = ("B", "H", "I", "Q")


class Column:
    """A growing column of whole numbers from 0, in 1 to 8 bytes each: as wide as its largest needs."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: array[int] = array("B")

    def append(self, number: int) -> None:
        """Put a number at the end. Raises OverflowError from 2**64."""
        try:
            self._numbers.append(number)
        except OverflowError:
            self._widen(number)
            self._numbers.append(number)

    def put(self, index: int, number: int) -> None:
        """Set a number, at whatever place; zeros stand between it and the end so far."""
        missing = index + 1 - len(self._numbers)
        if missing > 0:
            self._numbers.frombytes(bytes(missing * self._numbers.itemsize))
        try:
            self._numbers[index] = number
        except OverflowError:
            self._widen(number)
            self._numbers[index] = number

    def get(self, index: int) -> int:
        """Return the number at a place, 0 behind the end."""
        return self._numbers[index] if index < len(self._numbers) else 0

    def __getitem__(self, index: int) -> int:
        return self._numbers[index]

    def __contains__(self, number: object) -> bool:
        return number in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def _widen(self, number: int) -> None:
        for code in _WIDTHS:
            if number < 1 << 8 * array(code).itemsize:
                self._numbers = array(code, self._numbers)
                return
        raise OverflowError(f"{number} takes more than 64 bits")


class Texts:
    """Short texts, each kept once, known by a number; 0 is the empty text."""

    __slots__ = ("_numbers", "_texts")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}
        self._texts = [""]

    def number(self, text: str) -> int:
        """Return the number of a text, a new one where it has none."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number

    def __getitem__(self, number: int) -> str:
        return self._texts[number]


class Heap:
    """Texts that are mostly different, one behind the other; known by where they start. 0 is the empty text."""

    __slots__ = ("_bytes",)

    _LENGTH: Final = 4

    def __init__(self) -> None:
        self._bytes = bytearray(1)

    def put(self, text: str) -> int:
        """Keep a text and return where."""
        if not text:
            return 0
        place = len(self._bytes)
        encoded = text.encode("utf-8", "surrogatepass")
        self._bytes += len(encoded).to_bytes(self._LENGTH, "little")
        self._bytes += encoded
        return place

    def __getitem__(self, place: int) -> str:
        if not place:
            return ""
        start = place + self._LENGTH
        length = int.from_bytes(self._bytes[place:start], "little")
        return self._bytes[start : start + length].decode("utf-8", "surrogatepass")
