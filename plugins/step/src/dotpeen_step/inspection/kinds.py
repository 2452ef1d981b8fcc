"""What kind of item an entity is: product, PMI, topology, geometry (ISO 10303-41, -42, -47, -519)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from dotpeen_step.inspection.carriers import Kind

FORMATIONS: Final = frozenset(
    {"PRODUCT_DEFINITION_FORMATION", "PRODUCT_DEFINITION_FORMATION_WITH_SPECIFIED_SOURCE"}
)
DEFINITIONS: Final = frozenset(
    {
        "PRODUCT_DEFINITION",
        "PRODUCT_DEFINITION_WITH_ASSOCIATED_DOCUMENTS",
        "PHYSICALLY_MODELLED_PRODUCT_DEFINITION",
    }
)
SHAPES: Final = frozenset({"PRODUCT_DEFINITION_SHAPE"})
PRODUCTS: Final = frozenset({"PRODUCT"}) | FORMATIONS | DEFINITIONS | SHAPES
"""Entities that stand for a product, one of its revisions, definitions or shapes."""
USAGES: Final = frozenset(
    {
        "NEXT_ASSEMBLY_USAGE_OCCURRENCE",
        "ASSEMBLY_COMPONENT_USAGE",
        "QUANTIFIED_ASSEMBLY_COMPONENT_USAGE",
        "PROMISSORY_USAGE_OCCURRENCE",
    }
)
"""Entities that put one definition into another (ISO 10303-44)."""

ASPECTS: Final = frozenset(
    {
        "ALL_AROUND_SHAPE_ASPECT",
        "APEX",
        "BETWEEN_SHAPE_ASPECT",
        "CENTRE_OF_SYMMETRY",
        "COMMON_DATUM",
        "COMPOSITE_GROUP_SHAPE_ASPECT",
        "COMPOSITE_SHAPE_ASPECT",
        "COMPOSITE_UNIT_SHAPE_ASPECT",
        "CONTINUOUS_SHAPE_ASPECT",
        "DATUM",
        "DATUM_FEATURE",
        "DATUM_REFERENCE_COMPARTMENT",
        "DATUM_REFERENCE_ELEMENT",
        "DATUM_SYSTEM",
        "DATUM_TARGET",
        "DEFAULT_MODEL_GEOMETRIC_VIEW",
        "DERIVED_SHAPE_ASPECT",
        "DIMENSIONAL_LOCATION_WITH_DATUM_FEATURE",
        "DIMENSIONAL_SIZE_WITH_DATUM_FEATURE",
        "DIRECTED_TOLERANCE_ZONE",
        "EXTENSION",
        "GENERAL_DATUM_REFERENCE",
        "GEOMETRIC_ALIGNMENT",
        "GEOMETRIC_CONTACT",
        "GEOMETRIC_INTERSECTION",
        "NON_UNIFORM_TOLERANCE_ZONE",
        "ORIENTED_TOLERANCE_ZONE",
        "PARALLEL_OFFSET",
        "PERPENDICULAR_TO",
        "PLACED_DATUM_TARGET_FEATURE",
        "PLACED_FEATURE",
        "SHAPE_ASPECT",
        "SYMMETRIC_SHAPE_ASPECT",
        "TANGENT",
        "TOLERANCE_ZONE",
        "TOLERANCE_ZONE_WITH_DATUM",
    }
)
"""SHAPE_ASPECT and its subtypes: parts of a product's shape."""

_PMI: Final = ASPECTS | {
    "ANGULAR_LOCATION",
    "ANGULAR_SIZE",
    "DIMENSIONAL_CHARACTERISTIC_REPRESENTATION",
    "DIMENSIONAL_LOCATION",
    "DIMENSIONAL_SIZE",
    "DIMENSIONAL_SIZE_WITH_PATH",
    "DIMENSIONAL_LOCATION_WITH_PATH",
    "DIRECTED_ANGULAR_LOCATION",
    "DIRECTED_DIMENSIONAL_LOCATION",
    "DRAUGHTING_CALLOUT",
    "DRAUGHTING_MODEL_ITEM_ASSOCIATION",
    "DRAUGHTING_MODEL_ITEM_ASSOCIATION_WITH_PLACEHOLDER",
    "GEOMETRIC_TOLERANCE_RELATIONSHIP",
    "LEADER_DIRECTED_CALLOUT",
    "LIMITS_AND_FITS",
    "PROJECTED_ZONE_DEFINITION",
    "RUNOUT_ZONE_DEFINITION",
    "SHAPE_ASPECT_ASSOCIATIVITY",
    "SHAPE_ASPECT_RELATIONSHIP",
    "SHAPE_DIMENSION_REPRESENTATION",
    "SURFACE_TEXTURE_REPRESENTATION",
    "TOLERANCE_VALUE",
    "TOLERANCE_ZONE_DEFINITION",
}

VERTICES: Final = frozenset({"VERTEX", "VERTEX_POINT"})
EDGES: Final = frozenset({"EDGE", "EDGE_CURVE", "ORIENTED_EDGE", "SEAM_EDGE", "SUBEDGE"})
LOOPS: Final = frozenset({"LOOP", "EDGE_LOOP", "POLY_LOOP", "VERTEX_LOOP", "FACE_BOUND", "FACE_OUTER_BOUND"})
WIRES: Final = frozenset(
    {"PATH", "ORIENTED_PATH", "OPEN_PATH", "CONNECTED_EDGE_SET", "WIRE_SHELL", "VERTEX_SHELL"}
)
FACES: Final = frozenset({"FACE", "ADVANCED_FACE", "FACE_SURFACE", "ORIENTED_FACE", "SUBFACE"})
SHELLS: Final = frozenset(
    {
        "CLOSED_SHELL",
        "OPEN_SHELL",
        "ORIENTED_CLOSED_SHELL",
        "ORIENTED_OPEN_SHELL",
        "SURFACED_OPEN_SHELL",
        "CONNECTED_FACE_SET",
        "CONNECTED_FACE_SUB_SET",
    }
)
SOLIDS: Final = frozenset(
    {
        "BREP_WITH_VOIDS",
        "EDGE_BASED_WIREFRAME_MODEL",
        "FACE_BASED_SURFACE_MODEL",
        "FACETED_BREP",
        "MANIFOLD_SOLID_BREP",
        "SHELL_BASED_SURFACE_MODEL",
        "SHELL_BASED_WIREFRAME_MODEL",
    }
)
_TOPOLOGY: Final = VERTICES | EDGES | LOOPS | WIRES | FACES | SHELLS | SOLIDS

_GEOMETRY: Final = frozenset(
    {
        "CARTESIAN_POINT",
        "CIRCLE",
        "COMPOSITE_CURVE_SEGMENT",
        "DEGENERATE_PCURVE",
        "DIRECTION",
        "ELLIPSE",
        "GEOMETRIC_CURVE_SET",
        "GEOMETRIC_SET",
        "HYPERBOLA",
        "LINE",
        "PARABOLA",
        "PCURVE",
        "PLANE",
        "POINT",
        "POINT_ON_CURVE",
        "POINT_ON_SURFACE",
        "POLYLINE",
        "SOLID_MODEL",
        "VECTOR",
    }
)
_GEOMETRY_ENDS: Final = (
    "_CURVE",
    "_SURFACE",
    "_SOLID",
    "_PLACEMENT",
    "_PLACEMENT_3D",
    "_PLACEMENT_2D",
    "_POINT",
)
_GEOMETRY_STARTS: Final = (
    "B_SPLINE_",
    "TESSELLATED_",
    "TRIANGULATED_",
    "COMPLEX_TRIANGULATED_",
    "CSG_",
    "BOX_",
)
_PMI_WORDS: Final = ("_TOLERANCE", "ANNOTATION", "DATUM_", "DIMENSION_", "GEOMETRIC_TOLERANCE")


@lru_cache(maxsize=4096)
def kind_of_keyword(keyword: str) -> Kind:
    """Return the kind of a simple instance; `other` for what is none of the kinds, or unknown."""
    if keyword in PRODUCTS:
        return "product"
    if keyword in _PMI or any(word in keyword for word in _PMI_WORDS):
        return "pmi"
    if keyword in _TOPOLOGY:
        return "topology"
    if keyword in _GEOMETRY or keyword.endswith(_GEOMETRY_ENDS) or keyword.startswith(_GEOMETRY_STARTS):
        return "geometry"
    return "other"


def kind_of_parts(keywords: Iterable[str]) -> Kind:
    """Return the kind of a complex instance: that of its first part which has one."""
    return next((kind for kind in map(kind_of_keyword, keywords) if kind != "other"), "other")
