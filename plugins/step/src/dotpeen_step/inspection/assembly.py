"""The assembly as a tree, each component once below each parent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dotpeen_step.inspection.products import Product, Usage


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    depth: int
    product: Product
    quantity: int
    """How often it stands there."""
    repeated: bool
    """It has components, which stood in an earlier row."""


def rows(products: Iterable[Product], usages: Iterable[Usage]) -> Iterator[Row]:
    """Yield the tree from its roots: what is no component, and after that what only contains itself.

    A definition's components are listed the first time; so the tree is no longer than the file.
    """
    by_definition: dict[int, Product] = {}
    single = []
    for product in products:
        if product.definition_ref is None:
            single.append(product)
        else:
            by_definition.setdefault(product.definition_ref, product)
    children: dict[int, dict[int, int]] = {}
    used: set[int] = set()
    for usage in usages:
        if usage.parent in by_definition and usage.child in by_definition:
            below = children.setdefault(usage.parent, {})
            below[usage.child] = below.get(usage.child, 0) + 1
            used.add(usage.child)
    told: set[int] = set()
    for root in (*(ref for ref in by_definition if ref not in used), *by_definition):
        if root not in told:
            yield from _below(root, by_definition, children, told)
    for product in single:
        yield Row(0, product, 1, repeated=False)


def _below(
    root: int, products: dict[int, Product], children: dict[int, dict[int, int]], told: set[int]
) -> Iterator[Row]:
    pending = [(0, root, 1)]
    while pending:
        depth, ref, quantity = pending.pop()
        components = children.get(ref, {})
        yield Row(depth, products[ref], quantity, repeated=bool(components) and ref in told)
        if ref not in told:
            told.add(ref)
            pending.extend((depth + 1, child, count) for child, count in reversed(components.items()))
