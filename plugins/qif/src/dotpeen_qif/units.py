"""The units that are known by name, and what a document declares of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from dotpeen_qif.model import Quantity, Unit

SI_NAMES: Final[dict[Quantity, str]] = {
    "linear": "meter",
    "angular": "radian",
    "area": "square meter",
    "force": "newton",
    "mass": "kilogram",
    "pressure": "pascal",
    "speed": "meter per second",
    "temperature": "kelvin",
    "time": "second",
}
_DEGREE: Final = "0.017453292519943295769"

_KNOWN: Final[tuple[tuple[str, Quantity, str, str], ...]] = (
    # The names of one unit, that of documents first; quantity, factor, offset.
    ("mm millimeter millimetre MM", "linear", "0.001", "0"),
    ("m meter metre", "linear", "1", "0"),
    ("cm centimeter centimetre", "linear", "0.01", "0"),
    ("um µm μm micron micrometer micrometre", "linear", "0.000001", "0"),
    ("nm nanometer nanometre", "linear", "0.000000001", "0"),
    ('inch in IN " inches', "linear", "0.0254", "0"),
    ("mil thou", "linear", "0.0000254", "0"),
    ("ft foot feet", "linear", "0.3048", "0"),
    ("degree deg DEG ° degrees", "angular", _DEGREE, "0"),
    ("radian rad", "angular", "1", "0"),
    ("arcmin '", "angular", "0.00029088820866572159615", "0"),
    ("arcsec", "angular", "0.0000048481368110953599359", "0"),
    ("gon grad", "angular", "0.015707963267948966192", "0"),
    ("mm2 mm²", "area", "0.000001", "0"),
    ("cm2 cm²", "area", "0.0001", "0"),
    ("m2 m²", "area", "1", "0"),
    ("N newton", "force", "1", "0"),
    ("kN", "force", "1000", "0"),
    ("lbf", "force", "4.4482216152605", "0"),
    ("kg kilogram", "mass", "1", "0"),
    ("g gram", "mass", "0.001", "0"),
    ("lb", "mass", "0.45359237", "0"),
    ("Pa pascal", "pressure", "1", "0"),
    ("kPa", "pressure", "1000", "0"),
    ("MPa", "pressure", "1000000", "0"),
    ("bar", "pressure", "100000", "0"),
    ("psi", "pressure", "6894.757293168", "0"),
    ("m/s", "speed", "1", "0"),
    ("mm/s", "speed", "0.001", "0"),
    ("K kelvin", "temperature", "1", "0"),
    ("C °C degC celsius", "temperature", "1", "273.15"),
    ("s second sec", "time", "1", "0"),
    ("ms millisecond", "time", "0.001", "0"),
    ("min minute", "time", "60", "0"),
    ("h hour", "time", "3600", "0"),
)

UNITS: Final[dict[str, Unit]] = {
    word: Unit(names.split()[0], quantity, Decimal(factor), Decimal(offset), SI_NAMES[quantity])
    for names, quantity, factor, offset in _KNOWN
    for word in names.split()
}
"""Units by each of their names, capitals as they are."""
