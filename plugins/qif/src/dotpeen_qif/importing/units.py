"""What a value in one unit is in another: exact factors, and the names by which the MES knows a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dotpeen_qif.model import Quantity, Unit
from dotpeen_qif.settings import UnitSetting
from dotpeen_qif.units import UNITS

_CLOSE: Final = Decimal("1e-6")
_SHORT: Final = {"degree": "deg", "radian": "rad", "inch": "in"}
"""What applications call a unit whose name in documents is longer."""


@dataclass(frozen=True)
class Scale:
    """A unit as values are converted by: `value * factor` is the value in the SI unit."""

    name: str
    quantity: Quantity
    factor: Decimal
    offset: Decimal = Decimal(0)


def scale_of(unit: Unit) -> Scale:
    """Return what a unit's values are converted by.

    Known units have their exact factor: files round that of the degree, and 45° must stay 45°. A file that calls
    something else `mm` means what its factor says.
    """
    known = UNITS.get(unit.name.strip())
    if known is not None and known.quantity == unit.quantity and _close(known.factor, unit.factor):
        return Scale(known.name, known.quantity, known.factor, known.offset)
    for other in UNITS.values():
        # Another name for a known unit, such as `M/M`: the factor tells.
        if (other.quantity, other.factor, other.offset) == (unit.quantity, unit.factor, unit.offset):
            return Scale(other.name, other.quantity, other.factor, other.offset)
    return Scale(unit.name, unit.quantity, unit.factor, unit.offset)


def word_of(scale: Scale, words: Mapping[str, UnitSetting]) -> str:
    """Return what the MES calls a unit: its own word where the settings have one."""
    for word, setting in words.items():
        if setting.quantity == scale.quantity and _close(setting.factor, scale.factor):
            return word
    return _SHORT.get(scale.name, scale.name)


def named(word: str, words: Mapping[str, UnitSetting]) -> Scale | None:
    """Return the unit that the MES means by a word, None for one that isn't known."""
    setting = words.get(word)
    if setting is not None:
        return Scale(setting.name or word, setting.quantity, setting.factor, setting.offset)
    known = UNITS.get(word.strip())
    return None if known is None else Scale(known.name, known.quantity, known.factor, known.offset)


def is_angle(kind: str) -> bool:
    """Tell whether values of a kind of characteristic are angles. Angularity is a zone, and that is a length."""
    return "Angle" in kind or kind.startswith("AngularCoordinate")


def _close(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= abs(one) * _CLOSE
