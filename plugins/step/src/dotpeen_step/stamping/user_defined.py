"""The user-defined attribute that carries a UUID: the default, which other systems keep when they rewrite a file.

After the CAx-IF Recommended Practices for User Defined Attributes, as CATIA and Open CASCADE write them: a
GENERAL_PROPERTY and a PROPERTY_DEFINITION of the attribute's name, and its value in a DESCRIPTIVE_REPRESENTATION_ITEM.
ISO 10303-41 asks that both have the same name.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from typing import Final

from dotpeen_step.part21.errors import Part21LimitError
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.values import Reference
from dotpeen_step.part21.writing import Numbering

ATTRIBUTE: Final = "Dotpeen UUID"
"""The name that people see in their CAD system, and that tells our UUID from those that other systems write."""
INSTANCES: Final = 6
"""How many instances an attribute is made of."""
MOST: Final = 100_000
"""How many attributes, with as many values as they have together, are read of a file."""
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
    """Yield the instance that each attribute of this name is on, and its value.

    Raises `Part21Error`; `Part21LimitError` for more than `MOST` of them.
    """
    named: dict[int, int] = {}
    places = {keyword: _Places() for keyword in (_REPRESENTED, _REPRESENTATION, _ITEM)}
    for instance in file.find(frozenset({_PROPERTY, *places})):
        if instance.keyword in places:
            places[instance.keyword].note(instance)
        elif instance.keyword == _PROPERTY and (target := _on(instance, name)) is not None:
            named[instance.id] = target
    pairs: list[tuple[int, int]] = []
    for represented in places[_REPRESENTED].instances(file, _REPRESENTED):
        defined, representation, *_ = (*represented.references(), 0, 0)
        if defined in named:
            pairs.append((named[defined], representation))
    wanted = {representation for _, representation in pairs}
    items = {
        one.id: one.references() for one in places[_REPRESENTATION].instances(file, _REPRESENTATION, wanted)
    }
    if sum(len(items.get(representation, ())) for _, representation in pairs) > MOST:
        raise Part21LimitError(
            file.name, f"more than {MOST:,} attributes {name!r}", hint="no CAD system writes so many"
        )
    values = {
        one.id: value
        for one in places[_ITEM].instances(file, _ITEM, {item for refs in items.values() for item in refs})
        if isinstance(value := (*one.parameters, None, None)[1], str)
    }
    for target, representation in pairs:
        for item in items.get(representation, ()):
            if item in values:
                yield target, values[item]


class _Places:
    """Where instances of one keyword are: there may be very many, of which few are wanted."""

    def __init__(self) -> None:
        self._ids, self._offsets, self._lengths = array("q"), array("q"), array("q")

    def note(self, instance: Instance) -> None:
        self._ids.append(instance.id)
        self._offsets.append(instance.offset)
        self._lengths.append(len(instance.raw))

    def instances(
        self, file: Part21File, keyword: str, wanted: Collection[int] | None = None
    ) -> Iterator[Instance]:
        """Read them again: those with these names, or all."""
        for ref, offset, length in zip(self._ids, self._offsets, self._lengths, strict=True):
            if wanted is None or ref in wanted:
                yield Instance(ref, offset, keyword, file.read(offset, length))


def _on(definition: Instance, name: str) -> int | None:
    """Return what a property of this name is on."""
    label, _, target, *_ = (*definition.parameters, None, None, None)
    return target.id if label == name and isinstance(target, Reference) else None
