"""The products of a file that a UUID can be put on: just what stamping needs of them, found without a full scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dotpeen_step.inspection import products as inspected
from dotpeen_step.inspection.kinds import DEFINITIONS, FORMATIONS, SHAPES
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.values import Reference, Value

_SHOWN: Final = "SHAPE_DEFINITION_REPRESENTATION"
_REPRESENTATIONS: Final = frozenset(
    {
        "SHAPE_REPRESENTATION",
        "ADVANCED_BREP_SHAPE_REPRESENTATION",
        "CSG_SHAPE_REPRESENTATION",
        "EDGE_BASED_WIREFRAME_SHAPE_REPRESENTATION",
        "FACETED_BREP_SHAPE_REPRESENTATION",
        "GEOMETRICALLY_BOUNDED_SURFACE_SHAPE_REPRESENTATION",
        "GEOMETRICALLY_BOUNDED_WIREFRAME_SHAPE_REPRESENTATION",
        "MANIFOLD_SURFACE_SHAPE_REPRESENTATION",
        "SHELL_BASED_WIREFRAME_SHAPE_REPRESENTATION",
        "TESSELLATED_SHAPE_REPRESENTATION",
    }
)
_KEYWORDS: Final = frozenset({"PRODUCT", _SHOWN}) | FORMATIONS | DEFINITIONS | SHAPES | _REPRESENTATIONS


@dataclass(frozen=True, slots=True)
class Definition:
    """A PRODUCT_DEFINITION."""

    ref: int
    end: int
    """Offset behind its semicolon."""
    shapes: tuple[int, ...]
    """The PRODUCT_DEFINITION_SHAPEs of it."""
    context: int | None
    """The context of a representation that shows it."""


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


def find_products(file: Part21File) -> tuple[Product, ...]:
    """Return the products of a file, in its order. Raises `Part21Error`."""
    survey = _Survey()
    for instance in file.find(_KEYWORDS):
        survey.take(instance)
    return survey.products()


class _Survey:
    """Collects what products are made of."""

    def __init__(self) -> None:
        self._products = inspected.Products()
        self._ends: dict[int, int] = {}
        self._shown: dict[int, int] = {}
        self._contexts: dict[int, int] = {}

    def take(self, instance: Instance) -> None:
        keywords = frozenset(instance.keywords)
        if keywords & _REPRESENTATIONS:
            self._note(self._contexts, instance.id, _context(instance))
        elif _SHOWN in keywords:
            shape, representation = _reference(instance.parameters, 0), _reference(instance.parameters, 1)
            if shape is not None:
                self._note(self._shown, shape, representation)
        else:
            self._products.take(instance)
            if keywords & DEFINITIONS:
                self._ends[instance.id] = instance.end

    @staticmethod
    def _note(noted: dict[int, int], key: int, value: int | None) -> None:
        if value is not None:
            noted.setdefault(key, value)

    def products(self) -> tuple[Product, ...]:
        """One for each PRODUCT, whatever revisions and definitions it has."""
        found: dict[int, Product] = {}
        for one in self._products.found:
            product = found.get(one.product_ref) or Product(
                one.product_ref, one.id, one.name, (), frozenset()
            )
            definitions = product.definitions
            if one.definition_ref is not None:
                definitions += (self._definition(one.definition_ref, one.shape_refs),)
            refs = product.refs.union(one.refs)
            found[one.product_ref] = replace(product, definitions=definitions, refs=refs)
        return tuple(found.values())

    def _definition(self, ref: int, shapes: tuple[int, ...]) -> Definition:
        return Definition(ref, self._ends[ref], shapes, next(self._contexts_of(shapes), None))

    def _contexts_of(self, shapes: tuple[int, ...]) -> Iterator[int]:
        for shape in shapes:
            context = self._contexts.get(self._shown.get(shape, 0))
            if context is not None:
                yield context


def _context(instance: Instance) -> int | None:
    """The `context_of_items` of a representation; a complex one has it in the part of the supertype."""
    attributes = instance.parameters if instance.keyword else instance.part("REPRESENTATION") or ()
    return _reference(attributes, 2)


def _reference(values: tuple[Value, ...], index: int) -> int | None:
    value = values[index] if index < len(values) else None
    return value.id if isinstance(value, Reference) else None
