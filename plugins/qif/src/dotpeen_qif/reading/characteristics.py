"""Characteristics: what definition, nominal and item say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from dotpeen_qif.model import Characteristic, Quantity, Tolerance, Unit
from dotpeen_qif.reading.elements import Element
from dotpeen_qif.reading.values import Units, attributes_of, converted, decimal_of, uuid_of

ATTRIBUTE_KIND: Final = "UserDefinedAttribute"
"""The kind that is judged, not measured."""
_ANGULAR: Final = frozenset({"Angle", "AngleBetween", "AngleFrom", "AngularCoordinate", "UserDefinedAngular"})
_OTHER: Final[Mapping[str, Quantity]] = {
    "UserDefinedArea": "area",
    "UserDefinedForce": "force",
    "UserDefinedMass": "mass",
    "UserDefinedPressure": "pressure",
    "UserDefinedSpeed": "speed",
    "UserDefinedTemperature": "temperature",
    "UserDefinedTime": "time",
    "UserDefinedUnit": "user",
}
_TRUE: Final = ("true", "1")
_ZONES: Final = ("ToleranceValue", "RoughnessAverage")

T = TypeVar("T")


def kind_of(name: str, aspect: str) -> str:
    """Return the kind that an element's name tells: `Length` of `LengthCharacteristicItem`."""
    return name.removesuffix(aspect).removesuffix("Characteristic")


def quantity_of(kind: str) -> Quantity | None:
    """Return what a kind measures; None for attributes and welds, which have no value of their own."""
    if kind in _ANGULAR:
        return "angular"
    if kind == ATTRIBUTE_KIND or kind.startswith("Weld"):
        return None
    return _OTHER.get(kind, "linear")


@dataclass(slots=True)
class _Definition:
    kind: str
    tolerance: Tolerance | None = None
    shared: tuple[str, bool] | None = None
    """Id of a default tolerance, and whether it defines limits."""
    unit: Unit | None = None
    untoleranced: str | None = None
    fit: str | None = None
    what: str | None = None
    name: str | None = None
    designator: str | None = None


class Characteristics:
    """Collects the aspects of characteristics as they are read, and joins them when all are there."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._shared: dict[str, tuple[Tolerance, Unit | None]] = {}
        self._definitions: dict[str, _Definition] = {}
        self._nominals: dict[str, Element] = {}
        self._items: list[Element] = []

    def add_shared(self, element: Element) -> None:
        """Take a tolerance of `DefaultToleranceDefinitions`."""
        self._shared[element.attributes.get("id", "")] = self._tolerance(element)

    def add_definition(self, element: Element) -> None:
        """Take a `…CharacteristicDefinition`."""
        definition = _Definition(
            kind_of(element.name, "Definition"),
            untoleranced=element.value("NonTolerance"),
            what=element.value("WhatToMeasure"),
            name=element.value("Name"),
            designator=element.value("CharacteristicDesignator", "Designator"),
        )
        if (tolerance := element.find("Tolerance")) is not None:
            limits = tolerance.value("DefinedAsLimit") in _TRUE
            if (shared := tolerance.value("DefinitionId")) is not None:
                definition.shared = (shared, limits)
            else:
                definition.tolerance, definition.unit = self._tolerance(tolerance)
        elif (zone := next((found for name in _ZONES if (found := element.find(name))), None)) is not None:
            definition.tolerance = Tolerance(zone=decimal_of(zone.text))
            definition.unit = self._units.named(zone.attributes)
        elif (fit := element.find("LimitsAndFitsSpecification")) is not None:
            definition.fit = f"{fit.value('FormVariance') or ''}{fit.value('Grade') or ''}"
        self._definitions[element.attributes.get("id", "")] = definition

    def add_nominal(self, element: Element) -> None:
        """Take a `…CharacteristicNominal`."""
        self._nominals[element.attributes.get("id", "")] = element

    def add_item(self, element: Element) -> None:
        """Take a `…CharacteristicItem`."""
        self._items.append(element)

    @property
    def items(self) -> Sequence[Element]:
        """The `…CharacteristicItem`s, in the order of the document."""
        return self._items

    def join(self, item: Element) -> Characteristic:
        """Return the characteristic that an item is of. Raises `ValueError`."""
        kind = kind_of(item.name, "Item")
        nominal = _referred(item, "CharacteristicNominalId", self._nominals)
        definition = _referred(nominal, "CharacteristicDefinitionId", self._definitions)
        target = nominal.find("TargetValue")
        tolerance, given = self._tolerance_of(definition, nominal)
        quantity = quantity_of(kind)
        primary = self._units.primary.get(quantity) if quantity is not None else None
        unit = (self._units.named(target.attributes) if target is not None else given) or primary
        if tolerance is not None and unit is not None:
            tolerance = _in_unit(tolerance, given or primary, unit)
        designated = item.find("CharacteristicDesignator")
        uuid = designated.value("UUID") if designated is not None else None
        return Characteristic(
            uuid=uuid_of(uuid) if uuid is not None else None,
            kind=kind,
            name=item.value("Name") or definition.name,
            designator=(designated.value("Designator") if designated is not None else None)
            or nominal.value("CharacteristicDesignator", "Designator")
            or definition.designator,
            nominal=decimal_of(target.text) if target is not None else None,
            tolerance=tolerance,
            unit=unit,
            attribute=kind == ATTRIBUTE_KIND,
            description=item.value("Description"),
            criticality=item.value("CharacteristicDesignator", "Criticality", "LevelEnum"),
            untoleranced=definition.untoleranced,
            fit=definition.fit,
            what=definition.what,
            pass_values=tuple(value.text for value in nominal.all("PassValues", "StringValue")),
            fail_values=tuple(value.text for value in nominal.all("FailValues", "StringValue")),
            key=item.attributes.get("id", ""),
            attributes=attributes_of(item),
            line=item.line,
        )

    def _tolerance_of(
        self, definition: _Definition, nominal: Element
    ) -> tuple[Tolerance | None, Unit | None]:
        if definition.shared is not None:
            key, limits = definition.shared
            shared = self._shared.get(key)
            if shared is None:
                raise ValueError(f"refers to the default tolerance {key}, which the document does not have")
            return replace(shared[0], limits=limits), shared[1]
        if nominal.find("DefinedAsLimit") is not None:  # a user-defined unit: the nominal has the tolerance
            return self._tolerance(nominal)
        return definition.tolerance, definition.unit

    def _tolerance(self, element: Element) -> tuple[Tolerance, Unit | None]:
        upper, lower = element.find("MaxValue"), element.find("MinValue")
        units = {self._units.named(value.attributes) for value in (upper, lower) if value is not None}
        if len(units) > 1:
            raise ValueError("the tolerance has its maximum in another unit than its minimum")
        tolerance = Tolerance(
            upper=decimal_of(upper.text) if upper is not None else None,
            lower=decimal_of(lower.text) if lower is not None else None,
            limits=element.value("DefinedAsLimit") in _TRUE,
        )
        return tolerance, units.pop() if units else None


def _in_unit(tolerance: Tolerance, given: Unit | None, unit: Unit) -> Tolerance:
    """Return a tolerance in the unit of its nominal."""
    if given is None or given == unit:
        return tolerance
    upper, lower, zone = (
        converted(number, given, unit, difference=not tolerance.limits) if number is not None else None
        for number in (tolerance.upper, tolerance.lower, tolerance.zone)
    )
    return Tolerance(upper, lower, tolerance.limits, zone)


def _referred(element: Element, name: str, known: Mapping[str, T]) -> T:
    reference = element.find(name)
    if reference is None:
        raise ValueError(f"{element.name} has no {name}")
    if "xId" in reference.attributes:
        raise ValueError(f"{name} refers to another document; a characteristic has to be whole in one")
    found = known.get(reference.text)
    if found is None:
        raise ValueError(f"{name} refers to {reference.text[:40]!r}, which the document does not have")
    return found
