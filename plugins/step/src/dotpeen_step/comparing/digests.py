"""Digests of items with all that belongs to them, independent of numbering and layout."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dotpeen_step.comparing.graph import NOWHERE, Graph, digest
from dotpeen_step.comparing.meaning import Fact

_DANGLING: Final = digest(b"dangling")
_SURROUNDINGS: Final = digest(b"surroundings")
_CYCLE: Final = digest(b"cycle")
_SUBJECT: Final = digest(b"subject")


class Said(NamedTuple):
    """A fact of an item: what is said, and the instances that it is said with."""

    fact: Fact
    number: int
    """The name of the instance that says it."""
    content: int
    with_slots: Sequence[int]


class Digests:
    """Digests the graph below items, each instance once.

    Nothing recurs: a graph may be as deep as it likes. A reference back to an instance that is being digested, which
    no schema of AP242 needs, counts as a mere sign of that; give items in the same order for both files then.
    """

    def __init__(self, graph: Graph, names: Mapping[int, int]) -> None:
        """`names`: digest of the UUID of each identified item, by slot."""
        self._graph = graph
        self._digests = array("Q", bytes(8 * len(graph)))
        self._entered = bytearray(len(graph))
        self._said: dict[int, list[Said]] = {}
        self._places: dict[int, list[int]] = {}
        self._names = names
        self._gather()

    def of(self, slot: int) -> int:
        """Return the digest of an item with all that belongs to it."""
        if slot == NOWHERE:
            return _DANGLING
        if not self._digests[slot]:
            self._work(slot)
        return self._digests[slot]

    def known(self, number: int) -> int:
        """Return the digest of an instance, by name, that some item was made of; one of all surroundings."""
        slot = self._graph.slot(number)
        return self._outside(number) if slot == NOWHERE else self._digests[slot] or _SURROUNDINGS

    def said(self, number: int) -> Sequence[Said]:
        """Return the facts that are said of an instance."""
        return self._said.get(self._graph.slot(number), ())

    def said_digest(self, said: Said) -> int:
        """Return the digest of a fact."""
        return self._fact(said)

    def places(self, number: int) -> Sequence[int]:
        """Return the digests of the UUIDs of the geometry that an aspect of the shape is."""
        return self._places.get(self._graph.slot(number), ())

    def of_all(self, numbers: Iterable[int]) -> int:
        """Return the digest of several items, given by name, in any order; 0 for none."""
        found = sorted(self.of(self._graph.slot(number)) for number in numbers)
        return digest(_packed(found)) if found else 0

    def forget(self) -> None:
        """Give back the memory that only digesting needs; `known` and what is said stay."""
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
                stack.extend(
                    below for below in self._below(slot) if not digests[below] and not entered[below]
                )

    def _below(self, slot: int) -> Iterable[int]:
        graph = self._graph
        for number in graph.references(slot):
            below = graph.slot(number)
            if below != NOWHERE and not graph.is_surroundings(below):
                yield below
        for said in self._said.get(slot, ()):
            for below in said.with_slots:
                if below != NOWHERE and not graph.is_surroundings(below):
                    yield below

    def _combined(self, slot: int) -> int:
        graph = self._graph
        below = [self._child(number) for number in graph.references(slot)]
        if graph.is_unordered(slot):
            below.sort()
        facts = [self._fact(said) for said in self._said.get(slot, ())]
        facts += self._places.get(slot, ())
        if facts:
            below += sorted(facts)
        return digest(_packed([graph.contents[slot], *below]))

    def _child(self, number: int) -> int:
        graph = self._graph
        slot = graph.slot(number)
        if slot == NOWHERE:
            return self._outside(number)
        if graph.is_surroundings(slot):
            return _SURROUNDINGS
        return self._digests[slot] or _CYCLE

    def _outside(self, number: int) -> int:
        uri = self._graph.outside.get(number)
        return _DANGLING if uri is None else digest(uri.encode("utf-8", "surrogatepass"))

    def _fact(self, said: Said) -> int:
        below = (
            _DANGLING if slot == NOWHERE else self._digests[slot] or _SURROUNDINGS for slot in said.with_slots
        )
        return digest(_packed([said.content, _SUBJECT, *below]))

    def _gather(self) -> None:
        """Note what is said of dimensions, tolerances and aspects, by those."""
        graph = self._graph
        for fact, slot, number in graph.facts:
            slots = [graph.slot(reference) for reference in graph.references(slot)]
            said = Said(fact, number, graph.contents[slot], ())
            if fact is Fact.VALUE and len(slots) == 2:
                self._say(slots[0], said._replace(with_slots=slots[1:]))
            elif fact is Fact.LIMITS and len(slots) == 2:
                self._say(slots[1], said._replace(with_slots=slots[:1]))
            elif fact is Fact.ZONE:
                # ('name', 'description', shape, closed, (tolerances), form)
                for tolerance in slots[1:-1]:
                    self._say(tolerance, said._replace(with_slots=slots[-1:]))
            elif fact is Fact.PLACE and len(slots) > 2:
                # ('name', 'description', aspect, representation, item or items)
                named = [self._names[item] for item in slots[2:] if item in self._names]
                if named:
                    self._places.setdefault(slots[0], []).extend(named)

    def _say(self, subject: int, said: Said) -> None:
        if subject != NOWHERE:
            self._said.setdefault(subject, []).append(said)


def representations(graph: Graph) -> dict[int, list[int]]:
    """Return the representations of each shape, by instance name; nothing that is merely placed beside them."""
    shapes: dict[int, dict[int, None]] = {}
    alike: dict[int, list[int]] = {}
    for fact, slot, _ in graph.facts:
        pair = graph.references(slot)
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


def _packed(numbers: Sequence[int]) -> bytes:
    return array("Q", numbers).tobytes()
