"""A part as a file of AP242: no geometry, but everything by which other systems know the part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from dotpeen_step.exporting.contents import Contents
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.part21.values import DERIVED, OMITTED, Enumeration, Reference, Typed, Value
from dotpeen_step.part21.writing import Numbering, write_value
from dotpeen_step.stamping import user_defined, uuid_attribute

_NEWLINE: Final = b"\n"
_SCHEMA: Final = "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 %d 1 4 }"
_EDITION_2: Final = (3, 2020)
"""The version of the schema, and the year of the application protocol."""
_EDITION_4: Final = (7, 2025)


@dataclass(frozen=True, slots=True)
class Site:
    """Who writes the file."""

    organization: str
    version: str
    """Of this plugin."""


def write_part(
    part: Contents, site: Site, *, file_name: str, carriers: Sequence[Carrier] = (Carrier.USER_DEFINED,)
) -> bytes:
    """Return the file. The same part gives the same bytes.

    It declares edition 2 of AP242, which readers know best; with a UUID attribute edition 4, which has it. Raises
    `ConfigurationError` for a UUID attribute where the UUID is of a version that edition 4 has none for.
    """
    version, year = _EDITION_4 if Carrier.UUID_ATTRIBUTE in carriers else _EDITION_2
    instances = Numbering(count(1))
    definition, shape, context = _product(instances, part, year)
    for name, value in part.attributes:
        user_defined.add_attribute(instances, definition, context, name, value)
    if Carrier.USER_DEFINED in carriers:
        user_defined.add_attribute(instances, definition, context, user_defined.ATTRIBUTE, part.uuid)
    if Carrier.UUID_ATTRIBUTE in carriers:
        entity = uuid_attribute.require_entity(part.uuid)
        instances.add(entity, part.uuid, uuid_attribute.identified(shape, typed=True))
    anchors = [b"<%s>=#%d;" % (part.uuid.encode(), definition.id)] if Carrier.ANCHOR in carriers else []
    lines = [
        b"ISO-10303-21;",
        b"HEADER;",
        *_header(part, site, file_name, _SCHEMA % version, level="4;1" if anchors else "2;1"),
        b"ENDSEC;",
        *([b"ANCHOR;", *anchors, b"ENDSEC;"] if anchors else []),
        b"DATA;",
        *instances.taken(),
        b"ENDSEC;",
        b"END-ISO-10303-21;",
        b"",
    ]
    return _NEWLINE.join(lines)


def digest(content: bytes) -> str:
    """Return what changes with a file's content, and only then."""
    return hashlib.sha256(content).hexdigest()


def _header(part: Contents, site: Site, file_name: str, schema: str, *, level: str) -> list[bytes]:
    described = (f"Part {part.number}", "identified by its persistent UUID, without geometry")
    stamp = part.updated.isoformat(timespec="seconds")
    system = f"Dotpeen STEP plugin {site.version}"
    return [
        _header_entity("FILE_DESCRIPTION", described, level),
        _header_entity("FILE_NAME", file_name, stamp, ("",), (site.organization,), system, "Dotpeen", ""),
        _header_entity("FILE_SCHEMA", (schema,)),
    ]


def _header_entity(keyword: str, *parameters: str | tuple[str, ...]) -> bytes:
    return b"%s(%s);" % (keyword.encode(), b",".join(write_value(one) for one in parameters))


def _product(instances: Numbering, part: Contents, year: int) -> tuple[Reference, Reference, Reference]:
    """Add the product; return its definition, its shape and the context of its representations."""
    application = instances.add("APPLICATION_CONTEXT", "managed model based 3d engineering")
    instances.add(
        "APPLICATION_PROTOCOL_DEFINITION",
        *("international standard", "ap242_managed_model_based_3d_engineering", year, application),
    )
    mechanical = instances.add("PRODUCT_CONTEXT", "", application, "mechanical")
    product = instances.add("PRODUCT", part.number, part.name, part.description, (mechanical,))
    instances.add("PRODUCT_RELATED_PRODUCT_CATEGORY", "part", "", (product,))
    formation = instances.add("PRODUCT_DEFINITION_FORMATION", part.revision, "", product)
    design = instances.add("PRODUCT_DEFINITION_CONTEXT", "part definition", application, "design")
    definition = instances.add("PRODUCT_DEFINITION", "design", "", formation, design)
    shape = instances.add("PRODUCT_DEFINITION_SHAPE", "", "", definition)
    context = _context(instances)
    representation = instances.add("SHAPE_REPRESENTATION", part.number, (_origin(instances),), context)
    instances.add("SHAPE_DEFINITION_REPRESENTATION", shape, representation)
    return definition, shape, context


def _context(instances: Numbering) -> Reference:
    """Add the space of the representations: three dimensions, in millimetres and radians."""
    length = _unit(instances, "LENGTH_UNIT", Enumeration("MILLI"), "METRE")
    angle = _unit(instances, "PLANE_ANGLE_UNIT", OMITTED, "RADIAN")
    solid = _unit(instances, "SOLID_ANGLE_UNIT", OMITTED, "STERADIAN")
    return instances.add_complex(
        Typed("GEOMETRIC_REPRESENTATION_CONTEXT", (3,)),
        Typed("GLOBAL_UNIT_ASSIGNED_CONTEXT", ((length, angle, solid),)),
        Typed("REPRESENTATION_CONTEXT", ("", "3D")),
    )


def _unit(instances: Numbering, keyword: str, prefix: Value, name: str) -> Reference:
    return instances.add_complex(
        Typed(keyword, ()), Typed("NAMED_UNIT", (DERIVED,)), Typed("SI_UNIT", (prefix, Enumeration(name)))
    )


def _origin(instances: Numbering) -> Reference:
    """Add a coordinate system: a representation has at least one item."""
    point = instances.add("CARTESIAN_POINT", "", (0.0, 0.0, 0.0))
    axis = instances.add("DIRECTION", "", (0.0, 0.0, 1.0))
    across = instances.add("DIRECTION", "", (1.0, 0.0, 0.0))
    return instances.add("AXIS2_PLACEMENT_3D", "", point, axis, across)
