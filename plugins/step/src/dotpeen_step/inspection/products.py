"""The products of a file, and which are put together of which (ISO 10303-41, -44)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.columns import Column
from dotpeen_step.inspection.kinds import DEFINITIONS, FORMATIONS, SHAPES, USAGES
from dotpeen_step.part21.values import Reference

if TYPE_CHECKING:
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value

_CATEGORY: Final = "PRODUCT_RELATED_PRODUCT_CATEGORY"
_DOCUMENT: Final = "document"
_RELATIONSHIP: Final = "PRODUCT_DEFINITION_RELATIONSHIP"


@dataclass(frozen=True, slots=True)
class Product:
    """One definition of one revision of a product; a product without either has one entry, too."""

    id: str
    """PRODUCT.id: the part number."""
    name: str
    description: str
    revision: str
    """PRODUCT_DEFINITION_FORMATION.id, as written."""
    product_ref: int
    formation_ref: int | None
    definition_ref: int | None
    shape_refs: tuple[int, ...]
    """Instance names of its PRODUCT_DEFINITION_SHAPEs."""
    is_document: bool = False
    """The file lists it as a document: standards that the model follows, say. No part."""
    offset: int = 0
    """First byte of the PRODUCT in the file."""

    @property
    def refs(self) -> tuple[int, ...]:
        """Instance names of all that stands for it: PRODUCT, formation, definition, shapes."""
        given = (self.product_ref, self.formation_ref, self.definition_ref, *self.shape_refs)
        return tuple(ref for ref in given if ref is not None)


@dataclass(frozen=True, slots=True)
class Usage:
    """One definition used in another, once: `NEXT_ASSEMBLY_USAGE_OCCURRENCE`."""

    ref: int
    parent: int
    """Instance name of the PRODUCT_DEFINITION it is put into."""
    child: int
    """Instance name of the PRODUCT_DEFINITION that is put there."""
    id: str
    name: str
    offset: int = 0


class Products:
    """Collects products, revisions, definitions, shapes and usages."""

    keywords = frozenset({"PRODUCT", _CATEGORY}) | FORMATIONS | DEFINITIONS | SHAPES | USAGES

    def __init__(self) -> None:
        self._products: dict[int, tuple[str, str, str, int]] = {}
        self._formations: dict[int, tuple[str, int]] = {}
        self._definitions: dict[int, int] = {}
        self._shape_refs, self._shaped_refs = Column(), Column()
        self._documents: set[int] = set()
        self.usages: list[Usage] = []

    def take(self, instance: Instance) -> None:
        """Note one instance; complex ones by the part that has the attributes."""
        if (product := instance.part("PRODUCT")) is not None:
            texts = _texts(product[:3])
            self._products[instance.id] = (*texts, instance.offset)
        elif (shape := _part(instance, SHAPES)) is not None:
            self._take_shape(instance, shape)
        elif (formation := _part(instance, FORMATIONS)) is not None:
            self._formations[instance.id] = (_text(formation[0:1]), _ref(formation[2:3]))
        elif (definition := _part(instance, DEFINITIONS)) is not None:
            self._definitions[instance.id] = _ref(definition[2:3])
        elif (category := instance.part(_CATEGORY)) is not None:
            self._take_category(category)
        else:
            self._take_usage(instance)

    def _take_shape(self, instance: Instance, shape: tuple[Value, ...]) -> None:
        # Of a complex instance, the attributes stand in the part of the supertype.
        attributes = shape or instance.part("PROPERTY_DEFINITION") or ()
        self._shape_refs.append(instance.id)
        self._shaped_refs.append(_ref(attributes[2:3]))

    def _take_category(self, category: tuple[Value, ...]) -> None:
        if _text(category[0:1]).strip().lower() == _DOCUMENT and len(category) > 2:
            products = category[2] if isinstance(category[2], tuple) else ()
            self._documents.update(ref.id for ref in products if isinstance(ref, Reference))

    def _take_usage(self, instance: Instance) -> None:
        attributes = instance.part(_RELATIONSHIP) or (instance.parameters if instance.keyword else ())
        if len(attributes) < 5:
            return
        parent, child = _ref(attributes[3:4]), _ref(attributes[4:5])
        identifier, name, _ = _texts(attributes[:3])
        self.usages.append(Usage(instance.id, parent, child, identifier, name, instance.offset))

    @cached_property
    def found(self) -> tuple[Product, ...]:
        """The products, in the order of the file."""
        formations = _grouped((product, ref) for ref, (_, product) in self._formations.items())
        definitions = _grouped((formation, ref) for ref, formation in self._definitions.items())
        shapes = _grouped(zip(self._shaped_refs, self._shape_refs, strict=True))
        found = []
        for ref, (identifier, name, description, offset) in self._products.items():
            for formation in _under(formations, ref) or (None,):
                for definition in _under(definitions, formation) or (None,):
                    found.append(
                        Product(
                            id=identifier,
                            name=name,
                            description=description,
                            revision="" if formation is None else self._formations[formation][0],
                            product_ref=ref,
                            formation_ref=formation,
                            definition_ref=definition,
                            shape_refs=tuple(_under(shapes, definition)),
                            is_document=ref in self._documents,
                            offset=offset,
                        )
                    )
        return tuple(found)

    @cached_property
    def owners(self) -> Mapping[int, int]:
        """PRODUCT of each instance that stands for one, and of each usage and its shape the child's."""
        owners = {ref: ref for ref in self._products}
        owners |= {ref: product for ref, (_, product) in self._formations.items() if product in owners}
        owners |= {
            ref: owners[formation] for ref, formation in self._definitions.items() if formation in owners
        }
        owners |= {usage.ref: owners[usage.child] for usage in self.usages if usage.child in owners}
        for shape, shaped in zip(self._shape_refs, self._shaped_refs, strict=True):
            if shaped in owners:
                owners[shape] = owners[shaped]
        return owners

    @cached_property
    def placements(self) -> frozenset[int]:
        """Instance names of the usages and of their shapes: of a child's place, not of the child."""
        usages = frozenset(usage.ref for usage in self.usages)
        shaped = zip(self._shape_refs, self._shaped_refs, strict=True)
        return usages.union(shape for shape, definition in shaped if definition in usages)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Name of each PRODUCT, its id where it has no name."""
        return {ref: name or identifier for ref, (identifier, name, _, _) in self._products.items()}

    @cached_property
    def only_shaped(self) -> int | None:
        """The one PRODUCT that has a shape, to which all geometry belongs then; None where several have."""
        shaped = {product.product_ref for product in self.found if product.shape_refs}
        if not shaped and len(self._products) == 1:
            return next(iter(self._products))
        return shaped.pop() if len(shaped) == 1 else None


def _grouped(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Return what refers to each instance; what refers to none is left out."""
    grouped: dict[int, list[int]] = {}
    for key, value in pairs:
        if key:
            grouped.setdefault(key, []).append(value)
    return grouped


def _under(grouped: Mapping[int, list[int]], ref: int | None) -> Sequence[int]:
    return grouped.get(ref, ()) if ref else ()


def _part(instance: Instance, keywords: frozenset[str]) -> tuple[Value, ...] | None:
    if instance.keyword:
        return instance.parameters if instance.keyword in keywords else None
    return next((part.parameters for part in instance.parts if part.keyword in keywords), None)


def _text(values: tuple[Value, ...]) -> str:
    return values[0] if values and isinstance(values[0], str) else ""


def _texts(values: tuple[Value, ...]) -> tuple[str, str, str]:
    first, second, third = (_text(values[at : at + 1]) for at in range(3))
    return first, second, third


def _ref(values: tuple[Value, ...]) -> int:
    return values[0].id if values and isinstance(values[0], Reference) else 0
