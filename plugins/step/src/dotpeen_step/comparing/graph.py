"""The instances of a file in little memory: what each says, digested, and what it refers to."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from dotpeen_step.comparing.content import content
from dotpeen_step.comparing.meaning import FACTS, Fact, is_surroundings, is_unordered

if TYPE_CHECKING:
    from dotpeen_step.part21 import Part21File

NOWHERE: Final = 0
"""The slot of every instance that isn't there."""
AROUND: Final = 1
"""The slot that stands for every instance which is not a piece of what refers to it."""

_KEY: Final = secrets.token_bytes(16)
"""Digests hold for one process only: nobody can prepare two contents that have the same."""
_TELL_EVERY: Final = 1 << 20
_SURROUNDINGS: Final = 1
_UNORDERED: Final = 2
_OTHER: Final = 4
"""The slot is not of an instance, but of an item of another file."""
_SPARSE: Final = 8
"""Instance names may be so many times the number of instances before a table by name costs more than a dictionary."""


class Telling(NamedTuple):
    """An instance that says something of another."""

    fact: Fact
    slot: int
    number: int
    references: tuple[int, ...]


def digest(data: bytes) -> int:
    """Return 64 bits that stand for some bytes; never 0. Only digests of the same process compare."""
    return int.from_bytes(blake2b(data, digest_size=8, key=_KEY).digest(), "little") or 1


class Graph:
    """All instances, each in a slot: the digest of what it says, and the slots of what it refers to.

    Takes 25 bytes for each instance of a file and 4 for each reference, while it is read twice as much for those where
    instance names pass 2**32; after `forget_references` 4 bytes for each instance.
    """

    def __init__(self) -> None:
        self.contents = array("Q")
        """By slot: what the instance says, references left out."""
        self.tellings: list[Telling] = []
        self.outside: dict[int, str] = {}
        """Instance names that stand for items of other files (ISO 10303-21, 10), each with its URI."""
        self._marks = bytearray()
        self._ids = array("I")
        self._references = array("I")
        self._ends = array("Q", [0])
        self._table: array[int] | None = None
        self._slots: dict[int, int] = {}
        for word in (b"dangling", b"surroundings"):
            self._put(0, digest(word), _OTHER, ())

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
            graph._add(instance.id, instance.raw, mark, FACTS.get(keyword))
            if progress is not None and instance.offset >= tell_at:
                tell_at = instance.offset + _TELL_EVERY
                progress(instance.offset)
        for external in file.references:
            if isinstance(external.id, int):
                graph.outside[external.id] = external.uri
                said = digest(external.uri.encode("utf-8", "surrogatepass"))
                graph._put(external.id, said, _OTHER, ())
        graph._complete()
        return graph

    def __len__(self) -> int:
        return len(self.contents)

    def slot(self, number: int) -> int:
        """Return the slot of an instance by its name, or `NOWHERE`."""
        if self._table is not None:
            return self._table[number] if number < len(self._table) else NOWHERE
        return self._slots.get(number, NOWHERE)

    def piece(self, number: int) -> int:
        """Return the slot of an instance by its name as what refers to it has it; `AROUND` for surroundings."""
        slot = self.slot(number)
        return AROUND if self._marks[slot] & _SURROUNDINGS else slot

    def pieces(self, slot: int) -> Sequence[int]:
        """Return the slots of what an instance refers to, in that order."""
        return self._references[self._ends[slot] : self._ends[slot + 1]]

    def is_unordered(self, slot: int) -> bool:
        """The order of what the instance refers to says nothing."""
        return bool(self._marks[slot] & _UNORDERED)

    @property
    def others(self) -> Sequence[int]:
        """Slots that aren't of instances: what they say is all of it."""
        return [slot for slot in (*range(2), *map(self.slot, self.outside)) if self._marks[slot] & _OTHER]

    def forget_references(self) -> None:
        """Give back the memory that only digesting needs."""
        self._references, self._ends = array("I"), array("Q")
        self.contents, self._marks, self.tellings = array("Q"), bytearray(), []

    def _add(self, number: int, raw: bytes, mark: int, fact: Fact | None) -> None:
        said, references = content(raw)
        if fact is not None:
            self.tellings.append(Telling(fact, len(self.contents), number, tuple(references)))
        self._put(number, digest(said), mark, references)

    def _put(self, number: int, said: int, mark: int, references: Sequence[int]) -> None:
        try:
            self._ids.append(number)
            self._references.extend(references)
        except OverflowError:
            self._ids = array("Q", self._ids[: len(self.contents)])
            self._references = array("Q", self._references[: self._ends[-1]])
            self._ids.append(number)
            self._references.extend(references)
        self.contents.append(said)
        self._marks.append(mark)
        self._ends.append(len(self._references))

    def _complete(self) -> None:
        """Make slots be found by instance name, and references slots of names."""
        surroundings = [slot for slot, mark in enumerate(self._marks) if mark & _SURROUNDINGS]
        largest = max(self._ids)
        if largest <= _SPARSE * len(self._ids) + 1024:
            self._table = array("I", bytes(4 * (largest + 1)))
            self._fill(self._table)
            # Every reference to surroundings is alike: for the time of this, their names stand for one slot.
            for slot in surroundings:
                self._table[self._ids[slot]] = AROUND
            known = len(self._table)
            if max(self._references, default=0) < known:
                self._references = array("I", map(self._table.__getitem__, self._references))
            else:
                self._references = array(
                    "I", (self._table[one] if one < known else NOWHERE for one in self._references)
                )
            for slot in surroundings:
                self._table[self._ids[slot]] = slot
        else:
            self._slots = {number: slot for slot, number in enumerate(self._ids) if slot > AROUND}
            around = frozenset(surroundings)
            slots = (self._slots.get(one, NOWHERE) for one in self._references)
            self._references = array("I", (AROUND if slot in around else slot for slot in slots))
        self._ids = array("I")

    def _fill(self, table: array[int]) -> None:
        for slot, number in enumerate(self._ids):
            if slot > AROUND:
                table[number] = slot


def _mark(keyword: str) -> int:
    return _SURROUNDINGS * is_surroundings(keyword) + _UNORDERED * is_unordered(keyword)
