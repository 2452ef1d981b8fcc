"""The products of a file that a UUID can be put on: just what stamping needs of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dotpeen_step.inspection import products as inspected
from dotpeen_step.part21.instance import Instance


@dataclass(frozen=True, slots=True)
class Definition:
    """A PRODUCT_DEFINITION."""

    ref: int
    end: int
    """Offset behind its semicolon."""
    shapes: tuple[int, ...]
    """The PRODUCT_DEFINITION_SHAPEs of it."""


@dataclass(frozen=True, slots=True)
class Product:
    """A PRODUCT."""

    ref: int
    id: str
    """The part number."""
    name: str
    definitions: tuple[Definition, ...]
    refs: frozenset[int]
    """Instance names of all that stands for it: PRODUCT, formations, definitions, shapes."""

    @property
    def said(self) -> str:
        """What it is called in messages: `PRODUCT #7 'PN-1001' (Plate)`."""
        named = f" ({self.name})" if self.name and self.name != self.id else ""
        return f"PRODUCT #{self.ref} {self.id!r}{named}"


def products_of(instances: Iterable[Instance]) -> tuple[Product, ...]:
    """Return the products that instances make up, one for each PRODUCT, whatever revisions and definitions it has."""
    collected = inspected.Products()
    ends: dict[int, int] = {}
    for instance in instances:
        collected.take(instance)
        ends[instance.id] = instance.end
    first: dict[int, inspected.Product] = {}
    definitions: dict[int, list[Definition]] = {}
    refs: dict[int, set[int]] = {}
    for one in collected.found:
        product = first.setdefault(one.product_ref, one).product_ref
        refs.setdefault(product, set()).update(one.refs)
        if one.definition_ref is not None:
            definition = Definition(one.definition_ref, ends[one.definition_ref], one.shape_refs)
            definitions.setdefault(product, []).append(definition)
    return tuple(
        Product(ref, one.id, one.name, tuple(definitions.get(ref, ())), frozenset(refs[ref]))
        for ref, one in first.items()
    )
