"""The user-defined attribute that carries a UUID: the default, which other systems keep when they rewrite a file.

After the CAx-IF Recommended Practices for User Defined Attributes, as CATIA and Open CASCADE write them: a
GENERAL_PROPERTY and a PROPERTY_DEFINITION of the attribute's name, and its value in a DESCRIPTIVE_REPRESENTATION_ITEM.
ISO 10303-41 asks that both have the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.values import Reference
from dotpeen_step.part21.writing import Numbering

ATTRIBUTE: Final = "Dotpeen UUID"
"""The name that people see in their CAD system, and that tells our UUID from those that other systems write."""
INSTANCES: Final = 6
"""How many instances an attribute is made of."""
_ITEM: Final = "DESCRIPTIVE_REPRESENTATION_ITEM"
_REPRESENTATION: Final = "REPRESENTATION"
_REPRESENTED: Final = "PROPERTY_DEFINITION_REPRESENTATION"
_PROPERTY: Final = "PROPERTY_DEFINITION"


def add_attribute(
    instances: Numbering, definition: Reference, context: Reference, name: str, value: str
) -> None:
    """Add an attribute of a PRODUCT_DEFINITION, with a text as its value."""
    defined = instances.add(_PROPERTY, name, "", definition)
    general = instances.add("GENERAL_PROPERTY", "", name, "")
    instances.add("GENERAL_PROPERTY_ASSOCIATION", "", "", general, defined)
    # Without names: Open CASCADE takes an item that has one for a material of the part.
    item = instances.add(_ITEM, "", value)
    representation = instances.add(_REPRESENTATION, "", (item,), context)
    instances.add(_REPRESENTED, defined, representation)


def add_context(instances: Numbering) -> Reference:
    """Add a context for attributes where a file has none: they need no units and no space."""
    return instances.add("REPRESENTATION_CONTEXT", "", "attributes")


def read_attributes(file: Part21File, name: str) -> Iterator[tuple[int, str]]:
    """Yield the instance that each attribute of this name is on, and its value. Raises `Part21Error`."""
    found: dict[str, dict[int, Instance]] = {
        keyword: {} for keyword in (_PROPERTY, _REPRESENTED, _REPRESENTATION, _ITEM)
    }
    for instance in file.find(frozenset(found)):
        if instance.keyword in found:
            found[instance.keyword][instance.id] = instance
    named = {ref: target for ref, one in found[_PROPERTY].items() if (target := _on(one, name)) is not None}
    for represented in found[_REPRESENTED].values():
        defined, representation, *_ = (*represented.references(), 0, 0)
        if defined in named and representation in found[_REPRESENTATION]:
            for item in found[_REPRESENTATION][representation].references():
                value = found[_ITEM][item].parameters[1:2] if item in found[_ITEM] else ()
                if value and isinstance(value[0], str):
                    yield named[defined], value[0]


def _on(definition: Instance, name: str) -> int | None:
    """Return what a property of this name is on."""
    label, _, target, *_ = (*definition.parameters, None, None, None)
    return target.id if label == name and isinstance(target, Reference) else None
