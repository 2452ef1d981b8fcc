"""Measures with their units (ISO 10303-41, clause 21; ISO 10303-45)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.pmi.attributes import attributes, keywords_of, number, ref, text
from dotpeen_step.part21.values import Enumeration

if TYPE_CHECKING:
    from dotpeen_step.inspection.pmi.reach import Around
    from dotpeen_step.part21.instance import Instance

_PREFIXES: Final = {
    "": "",
    "NANO": "n",
    "MICRO": "µ",
    "MILLI": "m",
    "CENTI": "c",
    "DECI": "d",
    "KILO": "k",
    "PICO": "p",
    "FEMTO": "f",
    "ATTO": "a",
    "DECA": "da",
    "HECTO": "h",
    "MEGA": "M",
    "GIGA": "G",
    "TERA": "T",
    "PETA": "P",
    "EXA": "E",
}
_NAMES: Final = {"METRE": "m", "RADIAN": "rad", "STERADIAN": "sr"}
_CONVERTED: Final = {
    "INCH": "inch",
    "INCHES": "inch",
    "IN": "inch",
    "FOOT": "foot",
    "FEET": "foot",
    "FT": "foot",
    "DEGREE": "degree",
    "DEGREES": "degree",
    "DEG": "degree",
    "MILLIMETRE": "mm",
    "MILLIMETER": "mm",
    "MM": "mm",
}
_HOLDERS: Final = (
    "MEASURE_WITH_UNIT",
    "LENGTH_MEASURE_WITH_UNIT",
    "PLANE_ANGLE_MEASURE_WITH_UNIT",
    "MEASURE_REPRESENTATION_ITEM",
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its unit."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Measures:
    """Reads measures; remembers units, which thousands of them share."""

    units: dict[int, str]

    def of(self, around: Around, measure: int | None) -> Measure | None:
        """Return a measure; None where the instance is none."""
        instance = around.get(measure) if measure is not None else None
        if instance is None:
            return None
        keywords = keywords_of(instance)
        for keyword in _HOLDERS:
            if keyword not in keywords:
                continue
            # MEASURE_REPRESENTATION_ITEM has a name before; in a complex instance its part is empty.
            values = attributes(instance, keyword)[-2:]
            value = number(values, 0)
            if value is not None:
                return Measure(value, self._unit(around, ref(values, 1)))
        return None

    def _unit(self, around: Around, unit: int | None) -> str:
        if unit is None or unit not in around:
            return ""
        if unit not in self.units:
            self.units[unit] = _name_of_unit(around[unit])
        return self.units[unit]


def name_of_item(instance: Instance) -> str:
    """Return the name of a representation item."""
    return text(attributes(instance, "REPRESENTATION_ITEM"), 0)


def _name_of_unit(instance: Instance) -> str:
    keywords = keywords_of(instance)
    for keyword in ("CONVERSION_BASED_UNIT", "CONTEXT_DEPENDENT_UNIT"):
        if keyword in keywords:
            values = attributes(instance, keyword)
            name = text(values, 0) or text(values, 1)
            return _CONVERTED.get(name.strip().upper(), name.strip().lower())
    if "SI_UNIT" in keywords:
        prefix, name = (
            value.name if isinstance(value, Enumeration) else ""
            for value in (*attributes(instance, "SI_UNIT")[-2:], "", "")[:2]
        )
        if name:
            return _PREFIXES.get(prefix, prefix.lower()) + _NAMES.get(name, name.lower())
    return ""
