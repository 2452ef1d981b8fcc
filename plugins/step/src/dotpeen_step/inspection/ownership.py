"""Which product the faces, edges and vertices of an assembly belong to.

Topology doesn't refer to its product: the product's shape refers to representations, these to solids, and so
on down to the vertices. Where several products have a shape, this is followed from the top, level by level: a byte
or two for each instance name, and one fast pass over the file for each level that is needed.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.bulk import references_of
from dotpeen_step.inspection.columns import Column
from dotpeen_step.inspection.kinds import EDGES, FACES, LOOPS, SHELLS, SOLIDS, VERTICES

if TYPE_CHECKING:
    from dotpeen_step.inspection.products import Products
    from dotpeen_step.inspection.representations import Representations
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.file import Part21File

_SETS: Final = frozenset({"GEOMETRIC_SET", "GEOMETRIC_CURVE_SET", "TESSELLATED_SOLID", "TESSELLATED_SHELL"})
_BOUNDS: Final = frozenset({"FACE_BOUND", "FACE_OUTER_BOUND"})
_ORIENTED: Final = frozenset({"ORIENTED_EDGE", "SEAM_EDGE", "SUBEDGE"})
_ABOVE_FACES: Final = SOLIDS | SHELLS | _SETS
_NESTED: Final = 3
"""How deep these are in each other: a solid, an oriented shell, a shell."""
_LEVELS: Final = (
    (FACES, _BOUNDS),
    (_BOUNDS, LOOPS),
    (LOOPS - _BOUNDS, _ORIENTED),
    (_ORIENTED, EDGES),
    (frozenset({"EDGE_CURVE"}), VERTICES),
)
"""Entities from faces to the bottom, and those that they lead to: faces to bounds, edges to vertices."""
_BYTE: Final = 0xFF
_MOST_PRODUCTS: Final = 0xFFFE
_HIGHEST: Final = 1 << 26
"""The largest instance name looked at: real files number from 1."""
_BATCH: Final = 1000


class Ownership:
    """Knows the product of each instance name, as far as one was found."""

    def __init__(self, products: Iterable[int]) -> None:
        self._products = (0, *products)
        self._number = {product: number for number, product in enumerate(self._products)}
        # A byte does for nearly all files; the number after the last product's stands for several of them.
        self.several = len(self._products)
        self._owner = array("B" if self.several <= _BYTE else "H", (0,))

    def __getitem__(self, ref: int) -> int | None:
        """The PRODUCT of an instance; None where none or several have it."""
        number = self._owner[ref] if ref < len(self._owner) else 0
        return self._products[number] if 0 < number < len(self._products) else None

    def number(self, ref: int) -> int:
        """The number that stands for an instance's product, 0 where none was found."""
        return self._owner[ref] if ref < len(self._owner) else 0

    def of_products(self, products: Collection[int]) -> int:
        """The number that stands for a product, or for several."""
        if len(products) != 1:
            return self.several
        return self._number.get(next(iter(products)), self.several)

    def note(self, refs: Iterable[int], number: int) -> None:
        """Note that instances belong to a product; what two products have belongs to neither."""
        owner = self._owner
        for ref in refs:
            if ref >= len(owner):
                if ref >= _HIGHEST:
                    continue
                owner.frombytes(bytes(owner.itemsize * (ref + 1 - len(owner) + (ref >> 3))))
            if not owner[ref]:
                owner[ref] = number
            elif owner[ref] != number:
                owner[ref] = self.several


def own(file: Part21File, uuids: Uuids, products: Products, representations: Representations) -> None:
    """Tell the UUIDs of topology and geometry which product they belong to, where several have a shape."""
    shaped = {product.product_ref for product in products.found if product.shape_refs}
    asked = [
        number
        for number in range(len(uuids))
        if uuids.kind_of(number) in ("topology", "geometry") and not uuids.product_of(number)
    ]
    if not asked or len(shaped) < 2 or len(shaped) > _MOST_PRODUCTS:
        return
    ownership = Ownership(sorted(shaped))
    _from_representations(file, ownership, representations.shown(products.owners, products.placements))
    _from_solids(file, ownership)
    for level in _needed({uuids.keyword_of(number) for number in asked}):
        for number, refs in references_of(file, level, ownership.number):
            ownership.note(refs, number)
    for number in asked:
        uuids.belongs(number, ownership[uuids.target_of(number)])


def _needed(keywords: set[str]) -> Iterator[frozenset[str]]:
    """Yield the levels below faces that lead to all instances of some entities; everything for unknown ones."""
    missing = keywords - _ABOVE_FACES - FACES
    for level, reached in _LEVELS:
        if not missing:
            return
        yield level
        missing -= reached


def _from_solids(file: Part21File, ownership: Ownership) -> None:
    """Note what solids, sets and shells are made of, down to faces. They are few enough to be kept meanwhile."""
    names, ends, members = Column(), Column(), Column()
    for name, refs in references_of(file, _ABOVE_FACES, lambda ref: ref):
        for ref in refs:
            members.append(ref)
        names.append(name)
        ends.append(len(members))
    for _ in range(_NESTED):
        start = 0
        for name, end in zip(names, ends, strict=True):
            if number := ownership.number(name):
                ownership.note((members[place] for place in range(start, end)), number)
            start = end


def _from_representations(file: Part21File, ownership: Ownership, shown: dict[int, set[int]]) -> None:
    """Note the items of representations."""
    numbers = {representation: ownership.of_products(products) for representation, products in shown.items()}
    refs = sorted(numbers)
    for start in range(0, len(refs), _BATCH):
        for ref, representation in file.fetch(refs[start : start + _BATCH]).items():
            ownership.note(representation.references(), numbers[ref])
