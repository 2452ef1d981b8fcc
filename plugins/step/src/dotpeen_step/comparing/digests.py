"""Digests of items with all that belongs to them, independent of numbering and layout."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from dotpeen_step.comparing.graph import AROUND, NOWHERE, Graph, digest
from dotpeen_step.comparing.meaning import Fact

_CYCLE: Final = digest(b"cycle")


class Said(NamedTuple):
    """A fact of an item: what is said, and the instances that it is said with."""

    number: int
    """The name of the instance that says it."""
    content: int
    pieces: Sequence[int]
    """Slots."""


class Digests:
    """Digests the graph below items, each instance once; 8 bytes for each instance, while it works 9.

    Nothing recurs: a graph may be as deep as it likes. A reference back to an instance that is being digested, which
    no schema of AP242 needs, counts as a mere sign of that; give items in the same order for both files then.
    """

    def __init__(self, graph: Graph, names: Mapping[int, int]) -> None:
        """`names`: digest of the UUID of each identified item, by slot."""
        self._graph = graph
        self._digests = array("Q", bytes(8 * len(graph)))
        for slot in graph.others:
            self._digests[slot] = graph.contents[slot]
        self._entered = bytearray(len(graph))
        self._said: dict[int, list[Said]] = {}
        self._places: dict[int, list[int]] = {}
        self._names = names
        self._gather()

    def of(self, slot: int) -> int:
        """Return the digest of an item with all that belongs to it."""
        if not self._digests[slot]:
            self._work(slot)
        return self._digests[slot]

    def of_all(self, numbers: Iterable[int]) -> int:
        """Return the digest of several items, given by name, in any order; 0 for none."""
        found = sorted(self.of(self._graph.slot(number)) for number in numbers)
        return digest(array("Q", found).tobytes()) if found else 0

    def known(self, number: int) -> int:
        """Return the digest of an instance, by name, that some item was made of; one of all surroundings."""
        return self._digests[self._graph.slot(number)] or self._digests[AROUND]

    def said(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield the names of the instances that say something of one, each with the digest of what it says."""
        for said in self._said.get(self._graph.slot(number), ()):
            yield said.number, self._fact(said)

    def places(self, number: int) -> Sequence[int]:
        """Return the digests of the UUIDs of the geometry that an aspect of the shape is."""
        return self._places.get(self._graph.slot(number), ())

    def forget(self) -> None:
        """Give back the memory that only digesting needs; `known`, `said` and `places` stay."""
        self._entered = bytearray()

    def _work(self, root: int) -> None:
        digests, entered = self._digests, self._entered
        stack = [root]
        while stack:
            slot = stack[-1]
            if digests[slot]:
                stack.pop()
            elif entered[slot]:
                digests[slot] = self._combined(slot)
                stack.pop()
            else:
                entered[slot] = 1
                below: Iterable[int] = self._graph.pieces(slot)
                if slot in self._said:
                    below = [*below, *(one for said in self._said[slot] for one in said.pieces)]
                stack.extend([one for one in below if not digests[one] and not entered[one]])

    def _combined(self, slot: int) -> int:
        below = [*map(self._digests.__getitem__, self._graph.pieces(slot))]
        if 0 in below:
            below = [one or _CYCLE for one in below]
        if self._graph.is_unordered(slot):
            below.sort()
        if slot in self._said or slot in self._places:
            facts = [self._fact(said) for said in self._said.get(slot, ())]
            below += sorted([*facts, *self._places.get(slot, ())])
        below.append(self._graph.contents[slot])
        return digest(array("Q", below).tobytes())

    def _fact(self, said: Said) -> int:
        below = (self._digests[slot] or _CYCLE for slot in said.pieces)
        return digest(array("Q", [said.content, *below]).tobytes())

    def _gather(self) -> None:
        """Note what is said of dimensions, tolerances and aspects, by those."""
        graph = self._graph
        for fact, slot, number, references in graph.tellings:
            pieces = [graph.piece(one) for one in references]
            said = Said(number, graph.contents[slot], ())
            if fact is Fact.VALUE and len(pieces) == 2:
                self._say(pieces[0], said._replace(pieces=pieces[1:]))
            elif fact is Fact.LIMITS and len(pieces) == 2:
                self._say(pieces[1], said._replace(pieces=pieces[:1]))
            elif fact is Fact.ZONE:
                # ('name', 'description', shape, closed, (tolerances), form)
                for tolerance in pieces[1:-1]:
                    self._say(tolerance, said._replace(pieces=pieces[-1:]))
            elif fact is Fact.PLACE and len(pieces) > 2:
                # ('name', 'description', aspect, representation, item or items)
                named = [self._names[item] for item in pieces[2:] if item in self._names]
                if named:
                    self._places.setdefault(pieces[0], []).extend(named)

    def _say(self, subject: int, said: Said) -> None:
        if subject not in (NOWHERE, AROUND):
            self._said.setdefault(subject, []).append(said)


def representations(graph: Graph) -> dict[int, list[int]]:
    """Return the representations of each shape, by instance name; nothing that is merely placed beside them."""
    shapes: dict[int, dict[int, None]] = {}
    alike: dict[int, list[int]] = {}
    for fact, _, _, pair in graph.tellings:
        if len(pair) != 2 or graph.slot(pair[1]) == NOWHERE:
            continue
        if fact is Fact.SHAPE:
            shapes.setdefault(pair[0], {})[pair[1]] = None
        elif fact is Fact.SAME_SHAPE and graph.slot(pair[0]) != NOWHERE:
            alike.setdefault(pair[0], []).append(pair[1])
            alike.setdefault(pair[1], []).append(pair[0])
    for found in shapes.values():
        waiting = list(found)
        while waiting:
            for one in alike.get(waiting.pop(), ()):
                if one not in found:
                    found[one] = None
                    waiting.append(one)
    return {shape: list(found) for shape, found in shapes.items()}
