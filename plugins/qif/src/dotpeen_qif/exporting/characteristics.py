"""Characteristics as QIF writes them: definition, nominal and item of each.

A characteristic that its kind can't hold (a position without a tolerance, a length in kilograms, a kind that QIF
doesn't have) is written as the user-defined kind of its quantity; the MES' word for the kind stands in
`WhatToMeasure`. What no element holds becomes an attribute of the item: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from dotpeen_qif.exporting import text
from dotpeen_qif.exporting.markup import attributes, element, ids, leaf, listed, number, token
from dotpeen_qif.kinds import KINDS, Kind
from dotpeen_qif.model import Characteristic, Quantity, Tolerance, Unit
from dotpeen_qif.settings import Settings
from dotpeen_qif.units import UNITS

FIRST_ID = 3
"""Of characteristics: every document that has them numbers them alike, so that others can refer to their items."""


@dataclass(frozen=True)
class Fitted:
    """A characteristic in a kind that can hold it."""

    said: Characteristic
    kind: Kind
    unit: Unit | None
    what: str
    """The word for the kind."""
    item: int
    """Id of the item; that of the nominal is one less, that of the definition two."""

    @property
    def unit_name(self) -> str | None:
        """What documents call the unit."""
        return None if self.unit is None else token(text.legal(self.unit.name)) or "unit"


def fit(characteristics: Iterator[Characteristic], settings: Settings) -> list[Fitted]:
    """Choose for each characteristic the kind that it is written as."""
    return [
        _fitted(characteristic, settings, FIRST_ID + 3 * position + 2)
        for position, characteristic in enumerate(characteristics)
    ]


def primary_units(fitted: Sequence[Fitted], settings: Settings) -> dict[Quantity, Unit]:
    """Return the unit of each quantity that values are in where nothing else is said."""
    wished = {UNITS[settings.length_unit].name, UNITS[settings.angle_unit].name}
    primary: dict[Quantity, Unit] = {}
    for one in fitted:
        unit = one.unit
        if unit is not None and unit.quantity != "user":
            known = primary.setdefault(unit.quantity, unit)
            if unit.name in wished and known.name not in wished:
                primary[unit.quantity] = unit
    return primary


def write_characteristics(
    fitted: Sequence[Fitted],
    primary: Mapping[Quantity, Unit],
    *,
    standard: int,
    entities: Mapping[int, Sequence[int]],
) -> Iterator[str]:
    """Write `Characteristics`; nothing where there are none.

    `entities` are the ids of the CAD models' entities that a characteristic is, by its position.
    """
    if not fitted:
        return
    nominals = (_nominal(one, primary, entities.get(position, ())) for position, one in enumerate(fitted))
    yield f"<Characteristics>\n<FormalStandardId>{standard}</FormalStandardId>\n"
    yield listed("CharacteristicDefinitions", (_definition(one, primary) for one in fitted)) + "\n"
    yield listed("CharacteristicNominals", nominals) + "\n"
    yield listed("CharacteristicItems", (_item(one) for one in fitted)) + "\n"
    yield "</Characteristics>\n"


def value_attributes(one: Fitted, primary: Mapping[Quantity, Unit]) -> dict[str, object]:
    """Return the attribute of a value that names its unit, where it isn't the primary one."""
    if one.unit is None or one.kind.shape == "attribute":
        return {}
    if one.unit.quantity != "user" and primary[one.unit.quantity].name == one.unit.name:
        return {}
    return {one.kind.unit_attribute: one.unit_name}


def _fitted(said: Characteristic, settings: Settings, item: int) -> Fitted:
    kind = KINDS.get(said.kind)
    unit = said.unit
    if unit is None and kind is not None and kind.quantity in ("linear", "angular"):
        unit = UNITS[settings.length_unit if kind.quantity == "linear" else settings.angle_unit]
    what = said.what or said.attributes.get("characteristicType") or said.kind
    if kind is None or kind.shape == "attribute" or unit is None or kind.quantity != unit.quantity:
        kind = _fallback(said, unit)
    said = _checked(said)
    if kind.shape == "zone":
        zoned = _zone(said)
        if zoned is None:
            kind = _fallback(said, unit)
        else:
            said = zoned
    if kind.shape == "dimension" and said.tolerance is not None and said.tolerance.zone is not None:
        said = replace(said, tolerance=Tolerance(upper=said.tolerance.zone, lower=Decimal(0)))
    if kind.shape == "unit" and (said.nominal is None or said.tolerance is None):
        kind = KINDS["UserDefinedAttribute"]
    return Fitted(_spelled_out(said, kind), kind, unit, what, item)


def _fallback(said: Characteristic, unit: Unit | None) -> Kind:
    if unit is None or said.attribute:
        return KINDS["UserDefinedAttribute"]
    return KINDS[f"UserDefined{'Unit' if unit.quantity == 'user' else unit.quantity.title()}"]


def _checked(said: Characteristic) -> Characteristic:
    """Take away limits that contradict each other; they remain as attributes."""
    tolerance = said.tolerance
    if tolerance is None or tolerance.upper is None or tolerance.lower is None:
        return said
    if tolerance.lower <= tolerance.upper:
        return said
    return replace(said, tolerance=None, attributes={**said.attributes, **_limits(tolerance)})


def _zone(said: Characteristic) -> Characteristic | None:
    """Say limits as the width of a zone: from 0 to the upper one, or between the two. None where that can't be."""
    tolerance = said.tolerance
    if tolerance is None or tolerance.zone is not None:
        return said if tolerance is not None and tolerance.zone is not None and tolerance.zone >= 0 else None
    if tolerance.limits or tolerance.upper is None:
        return None
    width = tolerance.upper - (tolerance.lower or 0)
    kept = said.attributes
    if tolerance.lower is None or tolerance.lower != 0:
        kept = {**kept, **_limits(tolerance)}
    return replace(said, tolerance=Tolerance(zone=width), attributes=kept) if width >= 0 else None


def _spelled_out(said: Characteristic, kind: Kind) -> Characteristic:
    """Keep as attributes the numbers that the kind has no element for."""
    kept = dict(said.attributes)
    if said.nominal is not None and (not kind.target or kind.shape == "attribute") and said.nominal != 0:
        kept.setdefault("nominalValue", text.number(said.nominal))
    if kind.shape == "attribute" and said.tolerance is not None:
        kept = {**_limits(said.tolerance), **kept}
    if said.fit is not None:
        kept.setdefault("fit", said.fit)
    if kind.shape == "attribute" and said.unit is not None:
        kept.setdefault("unit", said.unit.name)
    return replace(said, attributes=kept)


def _limits(tolerance: Tolerance) -> dict[str, str]:
    pairs = (("toleranceUpper", tolerance.upper), ("toleranceLower", tolerance.lower))
    return {name: text.number(value) for name, value in pairs if value is not None}


def _definition(one: Fitted, primary: Mapping[Quantity, Unit]) -> str:
    kind, tolerance = one.kind, one.said.tolerance
    unit = value_attributes(one, primary)
    content = ""
    if kind.shape == "zone" and tolerance is not None:
        content = number("ToleranceValue", tolerance.zone, **unit)
        content += "".join(
            _demanded(name, one.said.details.get(name, value)) for name, value in kind.after_zone
        )
    elif kind.shape == "dimension" and tolerance is not None:
        content = element("Tolerance", _bounds(tolerance, unit))
    elif kind.shape == "dimension":
        content = leaf("NonTolerance", one.said.untoleranced or "MEASURED")
    if kind.named:
        content += leaf("WhatToMeasure", one.what)
    return element(f"{kind.stem}CharacteristicDefinition", content, id=one.item - 2)


def _bounds(tolerance: Tolerance, unit: Mapping[str, object]) -> str:
    return (
        number("MaxValue", tolerance.upper, **unit)
        + number("MinValue", tolerance.lower, **unit)
        + leaf("DefinedAsLimit", "true" if tolerance.limits else "false")
    )


def _nominal(one: Fitted, primary: Mapping[Quantity, Unit], entities: Sequence[int]) -> str:
    kind, said = one.kind, one.said
    content = f"<CharacteristicDefinitionId>{one.item - 2}</CharacteristicDefinitionId>"
    content += ids("EntityExternalIds", entities)
    unit = value_attributes(one, primary)
    if kind.target:
        content += number("TargetValue", said.nominal, **unit)
    if kind.shape == "attribute":
        content += listed("PassValues", [leaf("StringValue", value) for value in said.pass_values])
        content += listed("FailValues", [leaf("StringValue", value) for value in said.fail_values])
    if kind.shape == "unit" and said.tolerance is not None:
        content += _bounds(said.tolerance, unit)
    content += "".join(_demanded(name, said.details.get(name, value)) for name, value in kind.after_target)
    return element(f"{kind.stem}CharacteristicNominal", content, id=one.item - 1)


def _item(one: Fitted) -> str:
    said = one.said
    designator = said.designator or (None if said.uuid is None else said.name or str(said.number or one.item))
    content = (
        attributes({}, said.attributes) + leaf("Description", said.description) + leaf("Name", said.name)
    )
    if designator is not None:
        criticality = leaf("LevelEnum", said.criticality)
        content += element(
            "CharacteristicDesignator",
            leaf("Designator", designator),
            leaf("UUID", said.uuid),
            element("Criticality", criticality) if criticality else "",
        )
    content += f"<CharacteristicNominalId>{one.item - 1}</CharacteristicNominalId>"
    return element(f"{one.kind.stem}CharacteristicItem", content, id=one.item)


def _demanded(name: str, value: str) -> str:
    """Write an element that a kind demands: a zone's shape is an element, all others are a word."""
    return element(name, element(value)) if name == "ZoneShape" else leaf(name, value)
