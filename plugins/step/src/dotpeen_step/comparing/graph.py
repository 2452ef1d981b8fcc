"""The instances of a file in little memory: what each says, digested, and what it refers to."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from dotpeen_step.comparing.content import content
from dotpeen_step.comparing.meaning import FACTS, Fact, is_surroundings, is_unordered

if TYPE_CHECKING:
    from dotpeen_step.part21.file import Part21File

NOWHERE: Final = -1
"""The slot of an instance that isn't there."""

_KEY: Final = secrets.token_bytes(16)
"""Digests hold for one process only: nobody can prepare two contents that have the same."""
_TELL_EVERY: Final = 1 << 20
_SURROUNDINGS: Final = 1
_UNORDERED: Final = 2
_SPARSE: Final = 8
"""Instance names may be so many times the number of instances before a table by name costs more than a dictionary."""


def digest(data: bytes) -> int:
    """Return 64 bits that stand for some bytes; never 0. Only digests of the same process compare."""
    return int.from_bytes(blake2b(data, digest_size=8, key=_KEY).digest(), "little") or 1


class Graph:
    """All instances, each in a slot: its digest without and with what it refers to.

    Takes 30 bytes for each instance of the file and 4 for each reference, twice as much where instance names pass
    2**32; after `forget_references` 4 bytes for each instance.
    """

    def __init__(self) -> None:
        self.contents = array("Q")
        """By slot: what the instance says, references left out."""
        self.facts: list[tuple[Fact, int, int]] = []
        """Instances that say something of others: slot and name."""
        self._marks = bytearray()
        self._ids = array("I")
        self._references = array("I")
        self._ends = array("Q", [0])
        self._table: array[int] | None = None
        self._slots: dict[int, int] = {}
        self.outside: dict[int, str] = {}
        """Instance names that stand for items of other files (ISO 10303-21, 10), each with its URI."""

    @classmethod
    def read(cls, file: Part21File, progress: Callable[[int], None] | None = None) -> Graph:
        """Read all instances of a file. Raises `Part21Error` where it is not ISO 10303-21."""
        graph = cls()
        tell_at = _TELL_EVERY
        marks: dict[str, int] = {}
        for instance in file.scan():
            keyword = instance.keyword
            mark = marks.get(keyword)
            if mark is None:
                mark = marks[keyword] = _mark(keyword)
            graph.add(instance.id, instance.raw, mark, FACTS.get(keyword))
            if progress is not None and instance.offset >= tell_at:
                tell_at = instance.offset + _TELL_EVERY
                progress(instance.offset)
        for external in file.references:
            if isinstance(external.id, int):
                graph.outside[external.id] = external.uri
        graph.complete()
        return graph

    def add(self, number: int, raw: bytes, mark: int, fact: Fact | None) -> None:
        """Put an instance into the next slot."""
        said, references = content(raw)
        if fact is not None:
            self.facts.append((fact, len(self.contents), number))
        try:
            self._ids.append(number)
            self._references.extend(references)
        except OverflowError:
            self._widen(number, references)
        self.contents.append(digest(said))
        self._marks.append(mark)
        self._ends.append(len(self._references))

    def _widen(self, number: int, references: Sequence[int]) -> None:
        self._ids = array("Q", self._ids[: len(self.contents)])
        self._references = array("Q", self._references[: self._ends[-1]])
        self._ids.append(number)
        self._references.extend(references)

    def complete(self) -> None:
        """Make slots be found by instance name."""
        largest = max(self._ids, default=0)
        if largest <= _SPARSE * len(self._ids) + 1024:
            self._table = array("i", [NOWHERE]) * (largest + 1)
            for slot, number in enumerate(self._ids):
                self._table[number] = slot
        else:
            self._slots = {number: slot for slot, number in enumerate(self._ids)}
        self._ids = array("I")

    def __len__(self) -> int:
        return len(self.contents)

    def slot(self, number: int) -> int:
        """Return the slot of an instance by its name, or `NOWHERE`."""
        if self._table is not None:
            return self._table[number] if 0 <= number < len(self._table) else NOWHERE
        return self._slots.get(number, NOWHERE)

    def references(self, slot: int) -> Sequence[int]:
        """Return the names of the instances that one refers to, in their order."""
        return self._references[self._ends[slot] : self._ends[slot + 1]]

    def is_surroundings(self, slot: int) -> bool:
        """The instance is no piece of those that refer to it."""
        return bool(self._marks[slot] & _SURROUNDINGS)

    def is_unordered(self, slot: int) -> bool:
        """The order of what the instance refers to says nothing."""
        return bool(self._marks[slot] & _UNORDERED)

    def forget_references(self) -> None:
        """Give back the memory that only digesting needs."""
        self._references, self._ends = array("I"), array("Q")
        self.contents, self._marks = array("Q"), bytearray()
        self.facts = []


def _mark(keyword: str) -> int:
    return _SURROUNDINGS * is_surroundings(keyword) + _UNORDERED * is_unordered(keyword)
