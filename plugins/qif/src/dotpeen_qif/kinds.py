"""The kinds of characteristics: how each is written, and what an MES calls it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from dotpeen_qif.model import Quantity

Shape = Literal["dimension", "zone", "unit", "attribute"]
"""How its limits are said: by a `Tolerance`, by the `ToleranceValue` of a zone, inside the nominal, or not at all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How characteristics of one stem are written. Tuples name elements that have to be there, with a default."""

    stem: str
    shape: Shape
    quantity: Quantity = "linear"
    after_zone: tuple[tuple[str, str], ...] = ()
    """In the definition, after `ToleranceValue`."""
    after_target: tuple[tuple[str, str], ...] = ()
    """In the nominal, at its end."""
    before_value: tuple[tuple[str, str], ...] = ()
    """In the measurement, before `Value`."""
    target: bool = False
    """The nominal may have a `TargetValue`."""
    named: bool = False
    """The definition says `WhatToMeasure`."""

    @property
    def unit_attribute(self) -> str:
        """The attribute that names the unit of a value which isn't in the primary one."""
        return "unitName" if self.quantity == "user" else f"{self.quantity}Unit"


# REGARDLESS: the tolerance holds whatever the size of the feature. Drawings mean it where they say nothing.
_CONDITION: Final = ("MaterialCondition", "REGARDLESS")
_ROUND: Final = ("ZoneShape", "DiametricalZone")
_FLAT: Final = ("ZoneShape", "PlanarZone")
_WIDE: Final = ("ZoneShape", "NonDiametricalZone")
_ANALYSIS: Final = ("AnalysisMode", "THREEDIMENSIONAL")
_DIRECTION: Final = ("Direction", "XAXIS")

_LENGTHS: Final = (
    *(
        "Length",
        "Diameter",
        "Radius",
        "Width",
        "Height",
        "Depth",
        "Thickness",
        "Chord",
        "CurveLength",
        "Square",
    ),
    *("SphericalDiameter", "SphericalRadius"),
)
_ZONES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "Flatness": (),
    "Straightness": (_WIDE,),
    "Circularity": (),
    "Cylindricity": (),
    "Sphericity": (),
    "Conicity": (),
    "Ellipticity": (),
    "Toroidicity": (),
    "OtherForm": (),
    "Parallelism": (_CONDITION, _FLAT),
    "Perpendicularity": (_CONDITION, _FLAT),
    "Angularity": (_CONDITION, _FLAT),
    "Position": (_CONDITION, _ROUND),
    "Coaxiality": (_ROUND,),
    "Concentricity": (_ROUND,),
    "Symmetry": (),
    "CircularRunout": (),
    "TotalRunout": (),
    "SurfaceProfile": (),
    "PointProfile": (),
}
_PROFILES: Final = frozenset({"SurfaceProfile", "PointProfile"})
_QUANTITIES: Final[tuple[Quantity, ...]] = (
    *("linear", "angular", "area", "force", "mass", "pressure", "speed", "temperature", "time"),
)


def _kinds() -> dict[str, Kind]:
    kinds = [Kind(stem, "dimension", target=True) for stem in _LENGTHS]
    kinds += [
        Kind(stem, "dimension", target=True, after_target=(_ANALYSIS,))
        for stem in ("DistanceBetween", "DistanceFrom")
    ]
    kinds.append(Kind("Angle", "dimension", "angular", target=True))
    kinds += [
        Kind(stem, "dimension", "angular", target=True, after_target=(_ANALYSIS,))
        for stem in ("AngleBetween", "AngleFrom")
    ]
    kinds.append(
        Kind(
            "LinearCoordinate",
            "dimension",
            target=True,
            after_target=(_DIRECTION,),
            before_value=(("TypeOfCoordinates", "CARTESIAN_3D"),),
        )
    )
    kinds += [
        Kind(stem, "zone", after_zone=after, target=stem in _PROFILES) for stem, after in _ZONES.items()
    ]
    kinds += [
        Kind(f"UserDefined{quantity.title()}", "dimension", quantity, target=True, named=True)
        for quantity in _QUANTITIES
    ]
    kinds.append(Kind("UserDefinedUnit", "unit", "user", target=True))
    kinds.append(Kind("UserDefinedAttribute", "attribute", "user", named=True))
    return {kind.stem: kind for kind in kinds}


KINDS: Final[dict[str, Kind]] = _kinds()
"""The kinds that can be written, by their stems. Others are written as the user-defined kind of their quantity."""

SIZES: Final = frozenset({*_LENGTHS, "DistanceBetween", "DistanceFrom", "Angle", "AngleBetween", "AngleFrom"})
"""Stems of dimensions: lengths and angles that are measured from here to there."""
ZONES: Final = frozenset(_ZONES)
"""Stems of geometric tolerances."""

_WORDS: Final[dict[str, str]] = {
    "dia": "Diameter",
    "bore": "Diameter",
    "distance": "DistanceBetween",
    "roundness": "Circularity",
    "squareness": "Perpendicularity",
    "trueposition": "Position",
    "profile": "SurfaceProfile",
    "surfaceprofile": "SurfaceProfile",
    "profileofasurface": "SurfaceProfile",
    "runout": "CircularRunout",
    "concentric": "Concentricity",
    "attribute": "UserDefinedAttribute",
    "visual": "UserDefinedAttribute",
    "passfail": "UserDefinedAttribute",
}


def stem_of(word: str) -> str | None:
    """Return the kind that an MES means by a word: `TRUE_POSITION`, `true position` and `Position` are one."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    return _WORDS.get(plain) or _STEMS.get(plain)


_STEMS: Final = {stem.lower(): stem for stem in KINDS}
