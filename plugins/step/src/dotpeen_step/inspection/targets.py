"""What the UUIDs of a file identify: entity, name, kind, and the product it leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.carriers import GUID_ENTITIES, UUID_ATTRIBUTES
from dotpeen_step.inspection.groups import GROUP, groups
from dotpeen_step.inspection.kinds import ASPECTS, kind_of_parts

if TYPE_CHECKING:
    from dotpeen_step.inspection.carriers import Kind
    from dotpeen_step.inspection.products import Products
    from dotpeen_step.inspection.representations import Representations
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.instance import Instance

BATCH: Final = 10_000
"""Instances held at a time."""
_MOST_TEXT: Final = 65_536
"""Bytes of an instance, beyond which its references don't matter for where it belongs."""
_LEVELS: Final = 6
"""References from a tolerance to the product's shape: tolerance, feature, composite feature, shape."""
_CARRYING: Final = frozenset(UUID_ATTRIBUTES) | frozenset(GUID_ENTITIES)
_PLAIN_NAME: Final = re.compile(rb"#[0-9]+\s*=\s*\w+\s*\(\s*'([\x20-\x26\x28-\x5b\x5d-\x7e]*)'\s*[,)]")
"""A first parameter that is a text without anything to decode."""
_NAMING: Final = ("GEOMETRIC_TOLERANCE", "REPRESENTATION_ITEM", "SHAPE_ASPECT", "REPRESENTATION")
"""Parts of complex instances that have the name."""


@dataclass(frozen=True, slots=True)
class _Item:
    """What an instance says of itself."""

    keyword: str
    name: str
    kind: Kind
    references: tuple[int, ...]
    """Of what may refer to its product; topology and geometry don't."""

    @classmethod
    def of(cls, instance: Instance) -> _Item:
        keywords = instance.keywords
        kind = kind_of_parts(keywords)
        refers = kind in ("pmi", "other") and len(instance.raw) <= _MOST_TEXT
        # What is called a name in an entity for UUIDs is a UUID.
        name = "" if _CARRYING.intersection(keywords) else name_of(instance)
        return cls("+".join(keywords), name, kind, instance.references() if refers else ())


class Targets:
    """Finds what UUIDs identify, some at a time."""

    def __init__(self, file: Part21File, products: Products, representations: Representations) -> None:
        self._file = file
        self._products = products
        self._representations = representations

    @cached_property
    def _known(self) -> dict[int, int]:
        """PRODUCT of what stands for one, and where there are several of the parts of their shapes."""
        owners = dict(self._products.owners)
        if self._products.only_shaped is None:
            owners |= self._representations.aspect_owners(owners)
        return owners

    def identify(self, uuids: Uuids) -> None:
        """Tell all occurrences what they identify; those whose item isn't in the file stay untold."""
        for targets in _batches(uuids):
            items = self._items(set(targets))
            kinds = self._geometry_of_aspects(items)
            owners = self._owners(items)
            for target, numbers in targets.items():
                if (item := items.get(target)) is None:
                    continue
                kind, name = kinds.get(target, item.kind), item.name
                product = owners.get(target)
                if target in self._products.placements:
                    kind = "other"
                elif kind == "product" and product is not None:
                    name = self._products.names[product]
                for number in numbers:
                    uuids.identify(number, keyword=item.keyword, name=name, kind=kind, product_ref=product)

    def _items(self, ids: set[int]) -> dict[int, _Item]:
        return {ref: _Item.of(instance) for ref, instance in self._file.fetch(ids).items()}

    def _geometry_of_aspects(self, items: dict[int, _Item]) -> dict[int, Kind]:
        """Return `geometry` for shape aspects that only name an item of supplemental geometry."""
        aspects = {ref for ref, item in items.items() if item.keyword == "SHAPE_ASPECT"}
        if not aspects:
            return {}
        named = self._representations.items_of(aspects)
        found = self._items(set(named.values()))
        return {
            aspect: "geometry"
            for aspect, item in named.items()
            if item in found and found[item].kind == "geometry"
        }

    def _owners(self, items: dict[int, _Item]) -> dict[int, int]:
        """Return the PRODUCT of items, as far as they refer to one."""
        known = self._known
        owners = {ref: known[ref] for ref in items if ref in known}
        only = self._products.only_shaped
        for ref, item in items.items():
            if ref not in owners and only is not None and item.kind in ("pmi", "topology", "geometry"):
                owners[ref] = only
        asked = {ref: set(item.references) for ref, item in items.items() if ref not in owners}
        asked = {ref: refs for ref, refs in asked.items() if items[ref].kind in ("pmi", "other")}
        for _ in range(_LEVELS):
            asked = self._ascend(asked, owners)
            if not asked:
                break
        return owners

    def _ascend(self, asked: dict[int, set[int]], owners: dict[int, int]) -> dict[int, set[int]]:
        """Go from each item to what it refers to: note those that reach one product, return the others."""
        known = self._known
        remaining = {}
        for ref, refs in asked.items():
            reached = {known[one] for one in refs if one in known}
            if len(reached) == 1:
                owners[ref] = reached.pop()
            elif not reached and refs:
                remaining[ref] = refs
        found: dict[int, tuple[int, ...]] = {}
        everything = sorted({one for refs in remaining.values() for one in refs})
        for start in range(0, len(everything), BATCH):
            for one, item in self._items(set(everything[start : start + BATCH])).items():
                if _leads_on(item):
                    found[one] = item.references
        return {
            ref: further
            for ref, refs in remaining.items()
            if (further := {other for one in refs for other in found.get(one, ())})
        }


def _leads_on(item: _Item) -> bool:
    """Tell whether an item's references lead to the shape that it is of."""
    return not ASPECTS.isdisjoint(item.keyword.split("+")) or item.kind == "pmi"


def name_of(instance: Instance) -> str:
    """Return the name of an instance: its first text; of a complex one that of the part which names it."""
    if instance.keyword:
        plain = _PLAIN_NAME.match(instance.raw)
        return plain[1].decode("ascii") if plain is not None else _first_text(instance.parameters)
    parts = {part.keyword: part.parameters for part in instance.parts}
    for keyword in (*(keyword for keyword in _NAMING if keyword in parts), *parts):
        if text := _first_text(parts[keyword]):
            return text
    return ""


def _first_text(values: tuple[object, ...]) -> str:
    return next((value for value in values if isinstance(value, str)), "")


def _batches(uuids: Uuids) -> Iterator[dict[int, list[int]]]:
    """Yield the numbers of occurrences by their targets, about in the order of targets: neighbours in the file."""
    count = len(uuids)
    highest = max(map(uuids.target_of, range(count)), default=0)
    width = highest // (count // GROUP + 1) + 1
    for group in groups(count, lambda number: uuids.target_of(number) // width):
        batch: dict[int, list[int]] = {}
        for target, some in groupby(sorted(group, key=uuids.target_of), key=uuids.target_of):
            if target:
                batch[target] = list(some)
            if len(batch) >= BATCH:
                yield batch
                batch = {}
        if batch:
            yield batch
