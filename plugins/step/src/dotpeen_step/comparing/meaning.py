"""What of a file belongs to an item, where ISO 10303 doesn't say it by a reference from the item itself."""

from __future__ import annotations

from enum import Enum
from typing import Final

SURROUNDINGS: Final = frozenset(
    {
        "APPLICATION_CONTEXT",
        "DRAUGHTING_MODEL",
        "NEXT_ASSEMBLY_USAGE_OCCURRENCE",
        "PRODUCT",
        "PRODUCT_CONTEXT",
        "PRODUCT_DEFINITION",
        "PRODUCT_DEFINITION_CONTEXT",
        "PRODUCT_DEFINITION_FORMATION",
        "PRODUCT_DEFINITION_FORMATION_WITH_SPECIFIED_SOURCE",
        "PRODUCT_DEFINITION_SHAPE",
        "PRODUCT_DEFINITION_WITH_ASSOCIATED_DOCUMENTS",
    }
)
"""What an item stands in and refers to: a tolerance is the same when its product has got another name."""

_REPRESENTATION: Final = "SHAPE_REPRESENTATION"
"""Ends the names of SHAPE_REPRESENTATION and its subtypes (ISO 10303-41): the model that an item is in."""

UNORDERED: Final = frozenset(
    {
        "ADVANCED_FACE",
        "BREP_WITH_VOIDS",
        "CLOSED_SHELL",
        "CONNECTED_EDGE_SET",
        "CONNECTED_FACE_SET",
        "CONNECTED_FACE_SUB_SET",
        "FACE",
        "FACE_BASED_SURFACE_MODEL",
        "FACE_SURFACE",
        "GEOMETRIC_CURVE_SET",
        "GEOMETRIC_SET",
        "OPEN_SHELL",
        "SHELL_BASED_SURFACE_MODEL",
    }
)
"""Entities whose references are a SET (ISO 10303-42): their order says nothing."""


class Fact(Enum):
    """How an instance says something of another that doesn't refer to it."""

    VALUE = "the value of a dimension"
    LIMITS = "the tolerance of a dimension"
    ZONE = "the zone of a tolerance"
    PLACE = "the geometry that an aspect of the shape is"
    SHAPE = "the shape of a product"
    SAME_SHAPE = "another representation of the same shape"


FACTS: Final = {
    "DIMENSIONAL_CHARACTERISTIC_REPRESENTATION": Fact.VALUE,
    "PLUS_MINUS_TOLERANCE": Fact.LIMITS,
    "TOLERANCE_ZONE": Fact.ZONE,
    "GEOMETRIC_ITEM_SPECIFIC_USAGE": Fact.PLACE,
    "ITEM_IDENTIFIED_REPRESENTATION_USAGE": Fact.PLACE,
    "SHAPE_DEFINITION_REPRESENTATION": Fact.SHAPE,
    "SHAPE_REPRESENTATION_RELATIONSHIP": Fact.SAME_SHAPE,
}
"""Entities of facts (ISO 10303-47, -519, -41)."""


def is_surroundings(keyword: str) -> bool:
    """Tell whether an entity is what items stand in, and not a piece of them."""
    return keyword in SURROUNDINGS or keyword.endswith(_REPRESENTATION)


def is_unordered(keyword: str) -> bool:
    """Tell whether the order of what an entity refers to says nothing."""
    return keyword in UNORDERED or keyword.endswith(_REPRESENTATION)
