"""Collects the PMI of a file in one pass, and reads it afterwards, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.collecting import collect
from dotpeen_step.inspection.columns import Column
from dotpeen_step.inspection.pmi import attributes, entities
from dotpeen_step.inspection.pmi.reach import LONGEST, MOST, Pairs, Surroundings
from dotpeen_step.inspection.pmi.reading import Reading
from dotpeen_step.inspection.products import Products

if TYPE_CHECKING:
    from dotpeen_step.inspection.pmi.model import Pmi
    from dotpeen_step.inspection.uuids import UuidOccurrence
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.instance import Instance

_BATCH: Final = 1000
"""Items that are read at a time, each with ten instances around it."""


class PmiCollector:
    """Takes what says something of PMI; `read` makes items of it."""

    keywords = entities.KEYWORDS

    def __init__(self) -> None:
        self._items = Column()
        self._representations = Pairs()
        self._deviations = Pairs()
        self._related = Pairs()
        self._refers = Pairs()

    def take(self, instance: Instance) -> None:
        """Note one instance."""
        if len(instance.raw) > LONGEST:
            return
        keywords = instance.keywords
        if entities.kind_of(keywords) is not None:
            self._items.append(instance.id)
            self._note(instance)
        elif not entities.STRUCTURE.isdisjoint(keywords):
            self._note(instance)
        elif entities.REPRESENTATION in keywords:
            values = attributes.attributes(instance, entities.REPRESENTATION)
            self._representations.add(attributes.ref(values, 0), attributes.ref(values, 1))
        elif entities.DEVIATIONS in keywords:
            values = attributes.attributes(instance, entities.DEVIATIONS)
            self._deviations.add(attributes.ref(values, 1), attributes.ref(values, 0))
        else:
            values = attributes.attributes(instance, "SHAPE_ASPECT_RELATIONSHIP")
            relating, related = attributes.ref(values, 2), attributes.ref(values, 3)
            # Systems don't agree on which of the two is the datum.
            self._related.add(relating, related)
            self._related.add(related, relating)

    def _note(self, instance: Instance) -> None:
        for one in instance.references()[:MOST]:
            self._refers.add(instance.id, one)

    def __len__(self) -> int:
        return len(self._items)

    def read(self, file: Part21File, uuids: Iterable[UuidOccurrence], products: Products) -> Iterator[Pmi]:
        """Yield the items in the order of the file, once the pass is over. Raises `Part21Error`."""
        known = self._identified(uuids)
        surroundings = Surroundings(file, self._refers, products.owners)
        units: dict[int, str] = {}
        items = iter(self._items)
        while batch := tuple(islice(items, _BATCH)):
            representations, deviations = self._representations.of(batch), self._deviations.of(batch)
            related = self._related.of(batch)
            others = (one for found in (representations, deviations, related) for one in found.values())
            reading = Reading(
                around=surroundings.of({*batch, *chain.from_iterable(others)}),
                representations=representations,
                deviations=deviations,
                related=related,
                uuids=known,
                products=products,
                units=units,
            )
            for ref in batch:
                pmi = reading.item(ref)
                if pmi is not None:
                    yield pmi

    def _identified(self, uuids: Iterable[UuidOccurrence]) -> dict[int, tuple[str, ...]]:
        items = set(self._items)
        found: dict[int, dict[str, None]] = {}
        if items:
            for one in uuids:
                ref = one.target_ref
                if ref in items and one.carrier.identifies:
                    found.setdefault(ref, {})[one.uuid] = None
        return {ref: tuple(each) for ref, each in found.items()}


def read_pmi(file: Part21File, uuids: Iterable[UuidOccurrence] = ()) -> list[Pmi]:
    """Read the whole file for its semantic PMI, in the order of the file. Raises `Part21Error`.

    `uuids` are those of the file (`dotpeen_step.inspection`); without them nothing has any.
    """
    collector, products = PmiCollector(), Products()
    collect(file, (collector, products))
    return list(collector.read(file, uuids, products))
