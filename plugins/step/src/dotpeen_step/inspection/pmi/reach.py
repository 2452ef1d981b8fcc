"""The instances around items of PMI: what they refer to, and so on, as far as it says something of them.

What refers to what is noted in the pass over the file, for the few entities that PMI is made of. So everything around
some items is fetched at once, however long the way to it: to fetch is to search the file.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from dotpeen_step.inspection.columns import Column

if TYPE_CHECKING:
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.instance import Instance

Around: TypeAlias = "Mapping[int, Instance]"
"""Instances by their names."""

MOST: Final = 64
"""References of an instance that are followed, so that no file makes us hold millions: real ones have five."""
LONGEST: Final = 65_536
"""Bytes of an instance that says something of PMI."""
_STEPS: Final = 6
"""From a tolerance to a datum's letter: datum system, compartment, element, datum."""
_LEADING: Final = (b"MEASURE", b"COMPOUND_REPRESENTATION_ITEM")
"""In instances whose references are fetched, too: their units, qualifiers, items."""
_SHARED: Final = (b"UNIT", b"CONTEXT", b"QUALIFIER")
"""In instances that many others refer to."""
_MOST_SHARED: Final = 5_000


class Pairs:
    """References from one instance to another, some bytes each; looked up once all are there."""

    def __init__(self) -> None:
        self._keys, self._values = Column(), Column()
        self._order: array[int] | None = None

    def add(self, key: int | None, value: int | None) -> None:
        """Note one; nothing where either is missing."""
        if key is not None and value is not None:
            self._keys.append(key)
            self._values.append(value)

    def of(self, keys: Iterable[int]) -> dict[int, list[int]]:
        """Return what some instances lead to, in the order of the file."""
        if self._order is None:
            self._order = array("Q", sorted(range(len(self._keys)), key=self._keys.__getitem__))
        found: dict[int, list[int]] = {}
        for key in keys:
            place = bisect_left(self._order, key, key=self._keys.__getitem__)
            for number in self._order[place : place + MOST]:
                if self._keys[number] != key:
                    break
                found.setdefault(key, []).append(self._values[number])
        return found


class Surroundings:
    """Finds what is around items of PMI, some items at a time."""

    def __init__(self, file: Part21File, refers: Pairs, passed_over: Collection[int]) -> None:
        """`refers`: what was noted in the pass; `passed_over`: instances of which the name is enough."""
        self._file = file
        self._refers = refers
        self._passed_over = passed_over
        self._shared: dict[int, Instance] = {}

    def of(self, items: Collection[int]) -> Around:
        """Return some instances and those around them. Raises `Part21Error`."""
        found = self._fetched(self._noted(items))
        further = {
            one
            for instance in found.values()
            if any(word in instance.raw for word in _LEADING)
            for one in instance.references()[:MOST]
        }
        found |= self._fetched(further - found.keys())
        return found

    def _noted(self, items: Collection[int]) -> set[int]:
        """Return the names of the items, and of all that is known to be around them."""
        names = frontier = set(items)
        for _ in range(_STEPS):
            frontier = {one for refs in self._refers.of(frontier).values() for one in refs} - names
            if not frontier:
                break
            names = names | frontier
        return names

    def _fetched(self, names: set[int]) -> dict[int, Instance]:
        shared = self._shared
        found = {name: shared[name] for name in names if name in shared}
        wanted = [name for name in names if name not in found and name not in self._passed_over]
        for name, instance in self._file.fetch(wanted).items() if wanted else ():
            if len(instance.raw) > LONGEST:
                continue
            found[name] = instance
            if len(shared) < _MOST_SHARED and any(word in instance.raw for word in _SHARED):
                shared[name] = instance
        return found
