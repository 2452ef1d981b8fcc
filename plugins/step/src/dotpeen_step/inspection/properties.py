"""Read UUIDs from user-defined attributes (CAx-IF Recommended Practices for User Defined Attributes).

An attribute is a PROPERTY_DEFINITION on what it describes, a PROPERTY_DEFINITION_REPRESENTATION to a
REPRESENTATION, and there a DESCRIPTIVE_REPRESENTATION_ITEM with the value; a GENERAL_PROPERTY names it. These point
from the attribute to the value, and stand in any order: what may matter is noted in the pass over the file, and
followed when all is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from dotpeen.identifiers import find_uuid
from dotpeen_step.inspection.carried import references_in
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.inspection.columns import Column
from dotpeen_step.inspection.forms import is_named_uuid, may_be_named_uuid, may_hold_uuid
from dotpeen_step.part21.errors import Part21LimitError
from dotpeen_step.part21.values import Reference

if TYPE_CHECKING:
    from dotpeen_step.inspection.findings import Findings
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.file import Part21File
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value

_ITEM: Final = "DESCRIPTIVE_REPRESENTATION_ITEM"
_GENERAL: Final = "GENERAL_PROPERTY"
_ASSOCIATION: Final = "GENERAL_PROPERTY_ASSOCIATION"
_REPRESENTED: Final = "PROPERTY_DEFINITION_REPRESENTATION"
_PROPERTY: Final = "PROPERTY_DEFINITION"
_BATCH: Final = 5000
MOST_SHARED: Final = 100_000
"""Values that properties have because they share representations: in real files, each has one of its own."""
_TIMES: Final = 4
"""How often each property and each item is there without counting as shared."""
_T = TypeVar("_T")


class PropertyUuids:
    """Collects user-defined attributes that are UUIDs."""

    keywords = frozenset({_ITEM, _PROPERTY, _GENERAL, _ASSOCIATION, _REPRESENTED})

    def __init__(self, uuids: Uuids, findings: Findings) -> None:
        self._uuids = uuids
        self._findings = findings
        self._items: set[int] = set()
        """Representation items with a text of a UUID's form, or named as one; when followed, they leave."""
        self._named: set[int] = set()
        """Property definitions that are named as UUIDs, or have one in their texts."""
        self._general: dict[int, tuple[str, ...]] = {}
        """The texts of general properties that are named as UUIDs, or have one."""
        self._defined, self._representation = Column(), Column()
        self._general_of, self._derived = Column(), Column()
        self._followed: set[tuple[int, int]] = set()
        """Property definitions and representations with values that were followed: writers repeat some."""
        self._values = 0
        """How many values these have."""
        self._most = 0
        """How many they may have."""

    def take(self, instance: Instance) -> None:
        """Note one instance."""
        keywords = instance.keywords
        if _REPRESENTED in keywords:
            _note(instance.part(_REPRESENTED), 0, self._defined, self._representation)
        elif _ASSOCIATION in keywords:
            _note(instance.part(_ASSOCIATION), 2, self._general_of, self._derived)
        elif not (may_hold_uuid(instance.raw) or may_be_named_uuid(instance.raw)):
            return
        elif _ITEM in keywords:
            self._items.add(instance.id)
        elif _GENERAL in keywords:
            self._general[instance.id] = _texts(instance.part(_GENERAL))
        else:
            self._named.add(instance.id)

    def resolve(self, file: Part21File) -> None:
        """Follow what was noted and add the UUIDs found."""
        if not (self._items or self._named or self._general):
            return
        general = {
            derived: self._general[self._general_of[at]]
            for at, derived in enumerate(self._derived)
            if self._general_of[at] in self._general
        }
        self._most = MOST_SHARED + _TIMES * (len(self._defined) + len(self._items))
        # Without a value that may be a UUID, no representation has to be read.
        pairs = zip(
            self._defined if self._items else (), self._representation if self._items else (), strict=True
        )
        while batch := list(islice(pairs, _BATCH)):
            self._follow(file, batch)
        for ids in _batches(sorted(self._named | set(general))):
            for definition in file.fetch(ids).values():
                self._take_texts(definition, general.get(definition.id, ()))
        for ids in _batches(sorted(self._items)):
            for item in file.fetch(ids).values():
                self._take_value(item, label=_name_of(item), target=None, named=False)

    def _follow(self, file: Part21File, pairs: list[tuple[int, int]]) -> None:
        """Add the values that some property definitions have."""
        representations = file.fetch({representation for _, representation in pairs})
        values = {
            ref: tuple(dict.fromkeys(item for item in representation.references() if item in self._items))
            for ref, representation in representations.items()
        }
        new = [pair for pair in dict.fromkeys(pairs) if values.get(pair[1]) and pair not in self._followed]
        self._followed.update(new)
        self._values += sum(len(values[ref]) for _, ref in new)
        if self._values > self._most:
            raise _too_many(file, representations[max(new, key=lambda pair: len(values[pair[1]]))[1]])
        valued = [(defined, item) for defined, ref in new for item in values[ref]]
        for some in _batches(valued):
            general = self._general_names(file, {defined for defined, _ in some})
            definitions = file.fetch({defined for defined, _ in some})
            items = file.fetch({item for _, item in some})
            for defined, item in some:
                definition = definitions.get(defined)
                if definition is None or item not in items:
                    continue
                attributes = _attributes(definition)
                names = (_text(attributes[0:1]), general.get(defined, ""), _name_of(items[item]))
                named = next((name for name in names if is_named_uuid(name)), None)
                label = named or next((name for name in names if name.strip()), "")
                target = next(references_in(attributes[2:3]), None)
                self._take_value(items[item], label=label, target=target, named=named is not None)
        self._items.difference_update(item for _, item in valued)

    def _general_names(self, file: Part21File, definitions: set[int]) -> dict[int, str]:
        """Return the names of the general properties of some property definitions."""
        pairs = zip(self._derived, self._general_of, strict=True)
        general = {derived: base for derived, base in pairs if derived in definitions}
        bases = file.fetch(set(general.values()))
        return {
            derived: _text((bases[base].part(_GENERAL) or ())[1:2])
            for derived, base in general.items()
            if base in bases
        }

    def _take_value(self, item: Instance, *, label: str, target: int | None, named: bool) -> None:
        """Add the value of a representation item that stands for an attribute."""
        text = _text(item.part(_ITEM) or ()) if not item.keyword else _text(item.parameters[1:2])
        uuid = find_uuid(text)
        if uuid is not None:
            self._add(item, uuid, text, label, target, named=named)
        elif named and text.strip():
            self._findings.add(
                "uuid-malformed",
                item.offset,
                f"#{item.id}: the attribute {label!r} is {text[:80]!r}, which is no UUID",
                "correct the attribute in the system that wrote it, or give it another name",
            )

    def _take_texts(self, definition: Instance, general: tuple[str, ...]) -> None:
        """Add UUIDs that stand in the property's or the general property's own texts: id, description."""
        attributes = _attributes(definition)
        own = tuple(_text(attributes[at : at + 1]) for at in range(2))
        target = next(references_in(attributes[2:3]), None)
        names = [text for text in (*own, *general) if text.strip() and find_uuid(text) is None]
        named = next((name for name in names if is_named_uuid(name)), None)
        label = named or next(iter(names), "")
        for text in dict.fromkeys((*own, *general)):
            if (uuid := find_uuid(text)) is not None:
                self._add(definition, uuid, text, label, target, named=named is not None)

    def _add(
        self, instance: Instance, uuid: str, text: str, label: str, target: int | None, *, named: bool
    ) -> None:
        self._uuids.add(
            uuid,
            text=text,
            carrier=Carrier.USER_DEFINED if named else Carrier.PROPERTY,
            carrier_ref=instance.id,
            offset=instance.offset,
            target_ref=target,
            label=label,
        )


def _too_many(file: Part21File, representation: Instance) -> Part21LimitError:
    return Part21LimitError(
        file.name,
        f"its properties share representations, as #{representation.id}, so that they have more than "
        f"{MOST_SHARED:,} values together that may be UUIDs",
        line=file.line(representation.offset),
        byte=representation.offset,
        hint="give each PROPERTY_DEFINITION a REPRESENTATION of its own, with its own values",
    )


def _note(parameters: tuple[Value, ...] | None, at: int, first: Column, second: Column) -> None:
    """Note the two references that stand at a place of an instance's parameters."""
    pair = (parameters or ())[at : at + 2]
    if len(pair) == 2 and isinstance(pair[0], Reference) and isinstance(pair[1], Reference):
        first.append(pair[0].id)
        second.append(pair[1].id)


def _attributes(definition: Instance) -> tuple[Value, ...]:
    return definition.part(_PROPERTY) or definition.parameters


def _text(values: tuple[Value, ...]) -> str:
    return values[0] if values and isinstance(values[0], str) else ""


def _texts(values: tuple[Value, ...] | None) -> tuple[str, ...]:
    return tuple(_text((value,)) for value in values or ())


def _name_of(item: Instance) -> str:
    return _text(item.parameters if item.keyword else item.part("REPRESENTATION_ITEM") or ())


def _batches(items: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
