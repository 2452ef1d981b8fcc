"""Whether a measured value is within the tolerance of its characteristic."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias

from dotpeen_qif.model import Characteristic, Measurement, Tolerance
from dotpeen_qif.reading.values import converted

Verdict: TypeAlias = Literal["PASS", "FAIL"]

_FIXED_ZONES: Final = frozenset(
    {
        *("Flatness", "Circularity", "Cylindricity", "Sphericity", "Conicity", "Ellipticity", "Toroidicity"),
        *("OtherForm", "CircularRunout", "TotalRunout", "SurfaceTexture"),
    }
)
"""Kinds whose zone is what the drawing says. That of a position may grow with the size of its feature."""


def verdict(characteristic: Characteristic, measurement: Measurement) -> Verdict | None:
    """Return what the tolerance says of the value; None where it can't be told from these alone.

    Raises `ValueError` when the units are of different quantities.
    """
    value, tolerance = measurement.value, characteristic.tolerance
    if value is None or tolerance is None:
        return None
    given, unit = measurement.unit, characteristic.unit
    if given is not None and unit is not None:
        value = converted(value, given, unit)
    if tolerance.zone is not None:
        if abs(value) <= tolerance.zone:
            return "PASS" if characteristic.kind in _FIXED_ZONES else None
        return "FAIL" if characteristic.kind in _FIXED_ZONES else None
    bounds = limits_of(tolerance, characteristic.nominal)
    if bounds is None:
        return None
    lower, upper = bounds
    within = (lower is None or value >= lower) and (upper is None or value <= upper)
    return "PASS" if within else "FAIL"


def limits_of(tolerance: Tolerance, nominal: Decimal | None) -> tuple[Decimal | None, Decimal | None] | None:
    """Return the least and the greatest value; None where there is no nominal that deviations could be of."""
    if tolerance.limits:
        return tolerance.lower, tolerance.upper
    if nominal is None:
        return None
    return (
        None if tolerance.lower is None else nominal + tolerance.lower,
        None if tolerance.upper is None else nominal + tolerance.upper,
    )
