"""Texts of a document as values: numbers digit for digit, UUIDs, times, named attributes, units.

Every function that can fail raises `ValueError` with what is wrong; whoever knows file and line adds those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from sys import intern
from typing import Final, TypeVar

from dotpeen.identifiers import InvalidUuidError, canonical_uuid, read_uuid
from dotpeen_qif.model import Quantity, Unit
from dotpeen_qif.reading.elements import Element

T = TypeVar("T")

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_OWN_UUID: Final = "persistentUuid"
_MOST_DIGITS: Final = 1000
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_UNIT_ELEMENTS: Final[Mapping[str, Quantity]] = {
    "LinearUnit": "linear",
    "AngularUnit": "angular",
    "AreaUnit": "area",
    "ForceUnit": "force",
    "MassUnit": "mass",
    "PressureUnit": "pressure",
    "SpeedUnit": "speed",
    "TemperatureUnit": "temperature",
    "TimeUnit": "time",
}
UNIT_ATTRIBUTES: Final[Mapping[str, Quantity]] = {
    **{f"{quantity}Unit": quantity for quantity in _UNIT_ELEMENTS.values()},
    "unitName": "user",
}
"""Attributes of a value that name its unit."""


def decimal_of(text: str) -> Decimal:
    """Return the number of an `xs:decimal`, with all its digits."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of more than {_MOST_DIGITS} characters")
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no decimal number")
    return Decimal(text)


def uuid_of(text: str) -> str:
    """Return a UUID in lower case; `urn:uuid:` and braces, which some systems write, are dropped."""
    try:
        return canonical_uuid(text)
    except InvalidUuidError:
        return str(read_uuid(text))


def time_of(text: str) -> datetime:
    """Return the time of an `xs:dateTime`, to the microsecond; without a zone where the text has none."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date and time")
    seconds, fraction, zone = found.groups()
    day = timedelta(0)
    if seconds.endswith("T24:00:00") and not (fraction or "").strip("0"):
        # The end of a day is the beginning of the next.
        seconds, day = seconds.replace("T24:", "T00:"), timedelta(days=1)
    try:
        moment = datetime.fromisoformat(f"{seconds}.{(fraction or '0')[:6]:0<6}{zone or ''}") + day
        if zone:
            moment.astimezone(UTC)  # what is no time in UTC couldn't be compared with any other
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no date and time: {error}") from error
    return moment


def optional(read: Callable[[str], T], text: str | None) -> T | None:
    """Return what `read` makes of a text, None where there is none."""
    return read(text) if text is not None else None


def attributes_of(element: Element) -> dict[str, str]:
    """Return the named attributes of an element that have one value, as text; UUIDs in lower case."""
    found: dict[str, str] = {}
    for attribute in element.all("Attributes"):
        for child in attribute.children:
            name = child.attributes.get("name")
            if name is None or name in found:
                continue
            name = intern(name)  # the same few in a hundred thousand records
            if child.name == "AttributeQPId":
                text = child.value("Value")
                if text is not None:
                    found[name] = uuid_of(text)
            elif (value := child.attributes.get("value")) is not None:
                found[name] = value
    return found


def converted(number: Decimal, given: Unit, wanted: Unit, *, difference: bool = False) -> Decimal:
    """Return a number in another unit of the same quantity; a difference knows no offset.

    Exact where the units are the same, otherwise to 28 digits. Raises `ValueError` for another quantity.
    """
    if given == wanted:
        return number
    if given.quantity != wanted.quantity or given.quantity == "user":
        raise ValueError(f"a {given.quantity} unit, {given.name}, can't be converted to {wanted.name}")
    if difference:
        return number * given.factor / wanted.factor
    return (number * given.factor + given.offset - wanted.offset) / wanted.factor


def record_uuid(attributes: Mapping[str, str], *, of: str = "", other_than: str = "-") -> str | None:
    """Return the UUID among named attributes that is a record's: of `persistentUuid` or `Entity.persistentUuid`.

    Where things of several kinds stand in one place, `of` and `other_than` are words of the entity's name.
    """
    for name, value in attributes.items():
        entity, _, own = name.rpartition(".")
        if own == _OWN_UUID and of in entity.lower() and other_than not in entity.lower():
            return value
    return None


class Units:
    """The units of a document."""

    def __init__(self) -> None:
        self.primary: dict[Quantity, Unit] = {}
        self._named: dict[tuple[Quantity, str], Unit] = {}

    def declare(self, file_units: Element) -> None:
        """Take the units of `FileUnits`."""
        for group in file_units.children:
            for element in group.children:
                unit = _unit(element)
                if unit is None:
                    continue
                self._named.setdefault((unit.quantity, unit.name), unit)
                if group.name == "PrimaryUnits":
                    self.primary[unit.quantity] = unit

    def named(self, attributes: Mapping[str, str]) -> Unit | None:
        """Return the unit that a value with these attributes has, None when it means the primary one."""
        for attribute, name in attributes.items():
            quantity = UNIT_ATTRIBUTES.get(attribute)
            if quantity is not None:
                unit = self._named.get((quantity, name))
                if unit is None:
                    raise ValueError(f"FileUnits has no {quantity} unit {name[:40]!r}")
                return unit
        return None


def _unit(element: Element) -> Unit | None:
    name = element.value("UnitName")
    if name is None:
        return None
    if element.name == "UserDefinedUnit":
        return Unit(name, "user")
    quantity = _UNIT_ELEMENTS.get(element.name)
    if quantity is None:
        return None
    return Unit(
        name,
        quantity,
        factor=_positive(element.value("UnitConversion", "Factor") or "1"),
        offset=decimal_of(element.value("UnitConversion", "Offset") or "0"),
        si_name=element.value("SIUnitName"),
    )


def _positive(text: str) -> Decimal:
    factor = decimal_of(text)
    if factor <= 0:
        raise ValueError(f"{text} is no factor of a unit")
    return factor
