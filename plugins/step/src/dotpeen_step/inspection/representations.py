"""Which representations show which product (ISO 10303-41, -43), and which items stand for shape aspects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.carried import references_in
from dotpeen_step.inspection.columns import Column
from dotpeen_step.inspection.kinds import ASPECTS

if TYPE_CHECKING:
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value

_SHAPE: Final = "SHAPE_DEFINITION_REPRESENTATION"
_RELATIONSHIP: Final = "SHAPE_REPRESENTATION_RELATIONSHIP"
_TRANSFORMED: Final = "REPRESENTATION_RELATIONSHIP_WITH_TRANSFORMATION"
_ASPECT_ITEM: Final = "GEOMETRIC_ITEM_SPECIFIC_USAGE"
_MOST_REFERENCES: Final = 16
_NESTED: Final = 4
"""How deep shape aspects are in each other."""


class Representations:
    """Collects what shows a product's shape, and the geometry of shape aspects."""

    keywords = frozenset({_SHAPE, _RELATIONSHIP, _ASPECT_ITEM}) | ASPECTS

    def __init__(self) -> None:
        self._shape, self._shown = Column(), Column()
        self._first, self._second = Column(), Column()
        self._aspect, self._item = Column(), Column()
        self._part, self._whole = Column(), Column()

    def take(self, instance: Instance) -> None:
        """Note one instance."""
        keywords = instance.keywords
        if _SHAPE in keywords:
            _note(instance.parameters[0:2], self._shape, self._shown)
        elif _ASPECT_ITEM in keywords:
            _note(instance.parameters[2:3] + instance.parameters[4:5], self._aspect, self._item)
        elif not ASPECTS.isdisjoint(keywords):
            for whole in instance.references()[:_MOST_REFERENCES]:
                self._part.append(instance.id)
                self._whole.append(whole)
        elif _TRANSFORMED not in keywords:  # with a transformation, it is a child's place in an assembly
            related = instance.part("REPRESENTATION_RELATIONSHIP") or instance.parameters
            _note(related[2:4], self._first, self._second)

    def shown(self, owners: Mapping[int, int], placements: Collection[int]) -> dict[int, set[int]]:
        """Return the PRODUCTs that each representation shows, by itself or by one that it goes with."""
        products: dict[int, set[int]] = {}
        for shape, representation in zip(self._shape, self._shown, strict=True):
            if shape in owners and shape not in placements:
                products.setdefault(representation, set()).add(owners[shape])
        beside: dict[int, list[int]] = {}
        for first, second in zip(self._first, self._second, strict=True):
            beside.setdefault(first, []).append(second)
            beside.setdefault(second, []).append(first)
        found: dict[int, set[int]] = {}
        for start in products:
            if start in found:
                continue
            together = found[start] = set()  # one set for all that go together
            pending = [start]
            while pending:
                one = pending.pop()
                together |= products.get(one, set())
                others = [other for other in beside.get(one, ()) if other not in found]
                found.update(dict.fromkeys(others, together))
                pending.extend(dict.fromkeys(others))
        return found

    def aspect_owners(self, owners: Mapping[int, int]) -> dict[int, int]:
        """Return the PRODUCT of each shape aspect: that of its shape, or of the aspect that it is a part of."""
        found: dict[int, int] = {}
        for _ in range(_NESTED):
            before = len(found)
            for part, whole in zip(self._part, self._whole, strict=True):
                product = owners.get(whole) or found.get(whole)
                if product is not None:
                    found.setdefault(part, product)
            if len(found) == before:
                break
        return found

    def items_of(self, aspects: Collection[int]) -> dict[int, int]:
        """Return the item that stands for each of some shape aspects; those with several have none here."""
        found: dict[int, int] = {}
        several = set()
        for aspect, item in zip(self._aspect, self._item, strict=True):
            if aspect in aspects and found.setdefault(aspect, item) != item:
                several.add(aspect)
        return {aspect: item for aspect, item in found.items() if aspect not in several}


def _note(values: tuple[Value, ...], first: Column, second: Column) -> None:
    pair = tuple(references_in(values))
    if len(pair) == 2:
        first.append(pair[0])
        second.append(pair[1])
