"""Entities of semantic PMI (ISO 10303-47, -519, -1050 to -1051), and what their instances are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from dotpeen_step.inspection.pmi.model import PmiKind

SIZES: Final = frozenset(
    {
        "DIMENSIONAL_SIZE",
        "ANGULAR_SIZE",
        "DIMENSIONAL_SIZE_WITH_PATH",
        "DIMENSIONAL_SIZE_WITH_DATUM_FEATURE",
    }
)
LOCATIONS: Final = frozenset(
    {
        "DIMENSIONAL_LOCATION",
        "ANGULAR_LOCATION",
        "DIRECTED_DIMENSIONAL_LOCATION",
        "DIRECTED_ANGULAR_LOCATION",
        "DIMENSIONAL_LOCATION_WITH_PATH",
        "DIMENSIONAL_LOCATION_WITH_DATUM_FEATURE",
    }
)
DIMENSIONS: Final = SIZES | LOCATIONS

_GENERAL_TOLERANCES: Final = frozenset(
    {
        "GEOMETRIC_TOLERANCE",
        "GEOMETRIC_TOLERANCE_WITH_DATUM_REFERENCE",
        "GEOMETRIC_TOLERANCE_WITH_DEFINED_AREA_UNIT",
        "GEOMETRIC_TOLERANCE_WITH_DEFINED_UNIT",
        "GEOMETRIC_TOLERANCE_WITH_MAXIMUM_TOLERANCE",
        "GEOMETRIC_TOLERANCE_WITH_MODIFIERS",
        "MODIFIED_GEOMETRIC_TOLERANCE",
        "UNEQUALLY_DISPOSED_GEOMETRIC_TOLERANCE",
    }
)
"""Say how a tolerance is meant; not which characteristic it limits."""
_CHARACTERISTICS: Final = frozenset(
    {
        "ANGULARITY_TOLERANCE",
        "CIRCULAR_RUNOUT_TOLERANCE",
        "COAXIALITY_TOLERANCE",
        "CONCENTRICITY_TOLERANCE",
        "CYLINDRICITY_TOLERANCE",
        "FLATNESS_TOLERANCE",
        "LINE_PROFILE_TOLERANCE",
        "PARALLELISM_TOLERANCE",
        "PERPENDICULARITY_TOLERANCE",
        "POSITION_TOLERANCE",
        "ROUNDNESS_TOLERANCE",
        "STRAIGHTNESS_TOLERANCE",
        "SURFACE_PROFILE_TOLERANCE",
        "SYMMETRY_TOLERANCE",
        "TOTAL_RUNOUT_TOLERANCE",
    }
)
TOLERANCES: Final = _GENERAL_TOLERANCES | _CHARACTERISTICS

TARGETS: Final = frozenset({"DATUM_TARGET", "PLACED_DATUM_TARGET_FEATURE"})
DATUMS: Final = frozenset({"DATUM", "COMMON_DATUM", "DATUM_FEATURE", "DATUM_SYSTEM"}) | TARGETS

ITEMS: Final = DIMENSIONS | TOLERANCES | DATUMS
"""Every instance of these is an item of PMI."""

REPRESENTATION: Final = "DIMENSIONAL_CHARACTERISTIC_REPRESENTATION"
DEVIATIONS: Final = "PLUS_MINUS_TOLERANCE"
RELATIONSHIPS: Final = frozenset({"SHAPE_ASPECT_RELATIONSHIP", "FEATURE_FOR_DATUM_TARGET_RELATIONSHIP"})
"""Join a datum to its features and targets, among much else."""
STRUCTURE: Final = frozenset(
    {
        "DATUM_REFERENCE",
        "DATUM_REFERENCE_COMPARTMENT",
        "DATUM_REFERENCE_ELEMENT",
        "GENERAL_DATUM_REFERENCE",
        "REFERENCED_MODIFIED_DATUM",
        "SHAPE_DIMENSION_REPRESENTATION",
        "TOLERANCE_VALUE",
    }
)
"""Stand between items and what these are about."""
KEYWORDS: Final = ITEMS | STRUCTURE | RELATIONSHIPS | {REPRESENTATION, DEVIATIONS}


def kind_of(keywords: Collection[str]) -> PmiKind | None:
    """Return the kind of an instance; None where it is no item of PMI. What is a dimension, too, is a dimension."""
    if not DIMENSIONS.isdisjoint(keywords):
        return "dimension"
    if not TOLERANCES.isdisjoint(keywords):
        return "tolerance"
    return "datum" if not DATUMS.isdisjoint(keywords) else None


def tolerance_type(keywords: Collection[str]) -> str:
    """Return the characteristic that a tolerance limits, as `surface profile`; empty where it doesn't say."""
    found = next((keyword for keyword in keywords if keyword in _CHARACTERISTICS), "")
    return found.removesuffix("_TOLERANCE").replace("_", " ").lower()


def datum_type(keywords: Collection[str]) -> str:
    """Return what of a datum it is, as `datum feature`."""
    if not TARGETS.isdisjoint(keywords):
        return "datum target"
    for keyword in ("DATUM_SYSTEM", "DATUM_FEATURE", "COMMON_DATUM"):
        if keyword in keywords:
            return keyword.replace("_", " ").lower()
    return "datum"
