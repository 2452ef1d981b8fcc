"""Items of PMI from their instances (CAx-IF Recommended Practices for Representation and Presentation of PMI)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.kinds import ASPECTS
from dotpeen_step.inspection.pmi import entities
from dotpeen_step.inspection.pmi.attributes import attributes, keywords_of, listed, ref, refs, text, words
from dotpeen_step.inspection.pmi.datums import letter_of, letters_of
from dotpeen_step.inspection.pmi.dimensions import Values
from dotpeen_step.inspection.pmi.measures import Measures
from dotpeen_step.inspection.pmi.model import Pmi

if TYPE_CHECKING:
    from dotpeen_step.inspection.pmi.reach import Around
    from dotpeen_step.inspection.products import Products
    from dotpeen_step.part21.instance import Instance

_ANGLES: Final = frozenset({"ANGULAR_SIZE", "ANGULAR_LOCATION", "DIRECTED_ANGULAR_LOCATION"})
_DISTANCES: Final = ("linear distance", "curved distance")
_ASPECT_LENGTH: Final = 4
"""Attributes of SHAPE_ASPECT, which stand before a subtype's own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a number of items are made of."""

    around: Around
    representations: Mapping[int, Sequence[int]]
    """Representations of dimensions."""
    deviations: Mapping[int, Sequence[int]]
    """Tolerance values, limits and fits of dimensions."""
    related: Mapping[int, Sequence[int]]
    """Datums, features and targets that belong together."""
    uuids: Mapping[int, tuple[str, ...]]
    products: Products

    units: dict[int, str]
    """Names of units that were met."""

    def item(self, item: int) -> Pmi | None:
        """Return an item; None where the instance is none."""
        instance = self.around.get(item)
        if instance is None:
            return None
        keywords = keywords_of(instance)
        match entities.kind_of(keywords):
            case "dimension":
                return self._dimension(instance, keywords)
            case "tolerance":
                return self._tolerance(instance, keywords)
            case "datum":
                return self._datum(instance, keywords)
        return None

    def _dimension(self, instance: Instance, keywords: tuple[str, ...]) -> Pmi:
        if entities.SIZES.isdisjoint(keywords):
            said, name = _location(instance, keywords)
        else:
            feature, said = _size(instance)
            name = self._name_of_aspect(feature)
        values, measures = Values(), Measures(self.units)
        values.represent(self.around, self.representations.get(instance.id, ()), measures)
        values.tolerate(self.around, self.deviations.get(instance.id, ()), measures)
        return Pmi(
            ref=instance.id,
            keyword=intern("+".join(keywords)),
            kind="dimension",
            type=intern(said) if _ANGLES.isdisjoint(keywords) else "angle",
            name=name,
            value=values.value,
            upper=values.upper,
            lower=values.lower,
            limits=values.limits,
            unit=values.unit,
            fit=values.fit,
            modifiers=tuple(dict.fromkeys(values.modifiers)),
            letter=letter_of(self.around, instance.id, self.related),
            uuids=self.uuids.get(instance.id, ()),
            product_ref=self._product(instance),
        )

    def _tolerance(self, instance: Instance, keywords: tuple[str, ...]) -> Pmi:
        values = attributes(instance, "GEOMETRIC_TOLERANCE")  # name, description, magnitude, feature
        width = Measures(self.units).of(self.around, ref(values, 2))
        return Pmi(
            ref=instance.id,
            keyword=intern("+".join(keywords)),
            kind="tolerance",
            type=intern(entities.tolerance_type(keywords)),
            name=text(values, 0),
            value=None if width is None else width.value,
            unit="" if width is None else width.unit,
            modifiers=tuple(dict.fromkeys(_modifiers(instance, keywords))),
            datums=letters_of(self.around, _systems(instance)),
            uuids=self.uuids.get(instance.id, ()),
            product_ref=self._product(instance),
        )

    def _datum(self, instance: Instance, keywords: tuple[str, ...]) -> Pmi:
        values = attributes(instance, "SHAPE_ASPECT")
        if not instance.keyword and not values:
            values = next((part.parameters for part in instance.parts if len(part.parameters) >= 2), ())
        systems = (instance.id,) if "DATUM_SYSTEM" in keywords else ()
        return Pmi(
            ref=instance.id,
            keyword=intern("+".join(keywords)),
            kind="datum",
            type=intern(entities.datum_type(keywords)),
            name=text(values, 0),
            letter=letter_of(self.around, instance.id, self.related),
            datums=letters_of(self.around, systems),
            uuids=self.uuids.get(instance.id, ()),
            product_ref=self._product(instance),
        )

    def _name_of_aspect(self, aspect: int | None) -> str:
        instance = self.around.get(aspect) if aspect is not None else None
        if instance is None:
            return ""
        return text(attributes(instance, "SHAPE_ASPECT"), 0)

    def _product(self, instance: Instance) -> int | None:
        """Follow an item to the shape that it is of."""
        owners = self.products.owners
        seen = {instance.id}
        pending = [instance]
        while pending:
            for one in pending.pop().references():
                if one in owners:
                    return owners[one]
                other = self.around.get(one)
                if other is not None and one not in seen and _leads_to_shape(other):
                    seen.add(one)
                    pending.append(other)
        return self.products.only_shaped


def _leads_to_shape(instance: Instance) -> bool:
    return not (ASPECTS | entities.DIMENSIONS).isdisjoint(keywords_of(instance))


def _size(instance: Instance) -> tuple[int | None, str]:
    """Return the feature of a size, and what size it is."""
    values = attributes(instance, "DIMENSIONAL_SIZE")
    if instance.keyword == "DIMENSIONAL_SIZE_WITH_DATUM_FEATURE":
        values = values[_ASPECT_LENGTH:]
    return ref(values, 0), text(values, 1).strip().lower()


def _location(instance: Instance, keywords: tuple[str, ...]) -> tuple[str, str]:
    """Return what distance a location is, and its name: systems write either into the attribute for the first."""
    values = attributes(instance, "SHAPE_ASPECT_RELATIONSHIP")
    if instance.keyword == "DIMENSIONAL_LOCATION_WITH_DATUM_FEATURE":
        values = values[_ASPECT_LENGTH:]
    said = text(values, 0).strip()
    if said.lower().startswith(_DISTANCES):
        return said.lower(), ""
    path = any(keyword.endswith("_WITH_PATH") for keyword in keywords)
    return _DISTANCES[path], said


def _systems(instance: Instance) -> Iterator[int]:
    """Yield the datum systems, or datum references, of a tolerance."""
    if not instance.keyword:
        values = attributes(instance, "GEOMETRIC_TOLERANCE_WITH_DATUM_REFERENCE")
        yield from refs(listed(values, 0))
    elif isinstance(listed(instance.parameters, 4), tuple):
        yield from refs(listed(instance.parameters, 4))


def _modifiers(instance: Instance, keywords: tuple[str, ...]) -> Iterator[str]:
    for keyword in ("GEOMETRIC_TOLERANCE_WITH_MODIFIERS", "MODIFIED_GEOMETRIC_TOLERANCE"):
        if keyword in keywords:
            values = instance.parameters[4:] if instance.keyword else instance.part(keyword) or ()
            yield from words(listed(values, 0))
    if "UNEQUALLY_DISPOSED_GEOMETRIC_TOLERANCE" in keywords:
        yield "unequally disposed"
