"""Read UUIDs from the entities made to carry them, and from those that carry any identifier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dotpeen.identifiers import InvalidUuidError, find_uuid
from dotpeen_step.inspection.carriers import ASSIGNMENTS, GUID_ENTITIES, UUID_ATTRIBUTES, Carrier
from dotpeen_step.inspection.forms import may_hold_uuid, read_carried
from dotpeen_step.part21.values import Reference, Typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dotpeen_step.inspection.findings import Findings
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value

_DEDICATED: Final = UUID_ATTRIBUTES | GUID_ENTITIES
_THEMSELVES: Final = frozenset({Carrier.GUID_NAMESPACE, Carrier.GUID_RELATIONSHIP})
"""Entities whose UUID is their own."""
_AGGREGATE: Final = "AGGREGATE_GUID_ATTRIBUTE"
_USUAL: Final = re.compile(
    rb"#[0-9]+\s*=\s*(V[45]_UUID_ATTRIBUTE)\s*\(\s*"
    rb"'([0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})'\s*,\s*\(\s*\(\s*#([0-9]{1,18})\s*\)\s*\)\s*\)\s*;"
)
"""What nearly all of them are; found without decoding, because there may be hundreds of thousands."""


class CarriedUuids:
    """Collects the UUIDs of UUID attributes, their prototypes, and assigned identifiers."""

    keywords = frozenset(_DEDICATED) | frozenset(ASSIGNMENTS)

    def __init__(self, uuids: Uuids, findings: Findings) -> None:
        self._uuids = uuids
        self._findings = findings

    def take(self, instance: Instance) -> None:
        """Note an instance's UUIDs, or what is wrong with them."""
        if (usual := _USUAL.fullmatch(instance.raw)) is not None:
            uuid = usual[2].decode("ascii")
            self._add(instance, uuid, uuid, UUID_ATTRIBUTES[usual[1].decode("ascii")], (int(usual[3]),))
            return
        keywords = (instance.keyword,) if instance.keyword else tuple(part.keyword for part in instance.parts)
        dedicated = next((keyword for keyword in _DEDICATED if keyword in keywords), None)
        if dedicated is not None:
            self._take_dedicated(instance, dedicated)
        elif may_hold_uuid(instance.raw):
            assignment = next(keyword for keyword in ASSIGNMENTS if keyword in keywords)
            self._take_assignment(instance, ASSIGNMENTS[assignment])

    def _take_dedicated(self, instance: Instance, keyword: str) -> None:
        carrier = _DEDICATED[keyword]
        # In a complex instance, the identifier and the items stand in the part of the supertype.
        parameters = _identified(instance)
        text = _first_text(parameters)
        try:
            uuid = read_carried(text or "")
        except InvalidUuidError as error:
            said = f"{_shortened(text)!r} is no UUID: {error.reason}" if text else "there is no UUID"
            self._findings.add(
                "uuid-malformed",
                instance.offset,
                f"#{instance.id} {keyword}: {said}",
                "have the system that wrote the file write a UUID of 8-4-4-4-12 hexadecimal digits",
            )
            return
        if carrier in _THEMSELVES:
            targets = [instance.id]
        elif carrier is Carrier.GUID_ATTRIBUTE:
            aggregate = instance.part(_AGGREGATE)
            targets = list(_distinct(parameters[1:2] + (aggregate or ())[-1:]))
        else:
            targets = list(_distinct(parameters[1:2]))
        if not targets:
            self._findings.add(
                "uuid-no-target",
                instance.offset,
                f"#{instance.id} {keyword}: {uuid} names no item",
                "remove the attribute, or give it the item that it identifies",
            )
        self._add(instance, uuid, text or "", carrier, targets)

    def _take_assignment(self, instance: Instance, carrier: Carrier) -> None:
        for part in instance.parts:
            text = _first_text(part.parameters)
            uuid = find_uuid(text) if text else None
            if uuid is None or text is None:
                continue
            # The items are the last attribute, a single one or a set; role and source come before.
            items = next((one.parameters for one in reversed(instance.parts) if _has_items(one)), ())
            self._add(instance, uuid, text, carrier, list(_distinct(items[-1:])))
            return

    def _add(
        self, instance: Instance, uuid: str, text: str, carrier: Carrier, targets: Sequence[int]
    ) -> None:
        for target in targets or (None,):
            self._uuids.add(
                uuid,
                text=text,
                carrier=carrier,
                carrier_ref=instance.id,
                offset=instance.offset,
                target_ref=target,
            )


def references_in(values: tuple[Value, ...]) -> Iterator[int]:
    """Yield the instance names in values, through lists and types, in their order: `((#1))`, `UUID_SET_ITEM((#1))`."""
    pending: list[Value] = list(reversed(values))
    while pending:
        value = pending.pop()
        if isinstance(value, Reference):
            yield value.id
        elif isinstance(value, Typed):
            pending.extend(reversed(value.parameters))
        elif isinstance(value, tuple):
            pending.extend(reversed(value))


def _distinct(values: tuple[Value, ...]) -> dict[int, None]:
    return dict.fromkeys(references_in(values))


def _first_text(parameters: tuple[Value, ...]) -> str | None:
    value = parameters[0] if parameters else None
    if isinstance(value, Typed):
        value = value.parameters[0] if value.parameters else None
    return value if isinstance(value, str) else None


def _identified(instance: Instance) -> tuple[Value, ...]:
    """Return the parameters that begin with the UUID."""
    supertype = instance.part("UUID_ATTRIBUTE") or instance.part("GUID_ATTRIBUTE")
    if supertype is not None:
        return supertype
    return next((part.parameters for part in instance.parts if _first_text(part.parameters) is not None), ())


def _has_items(part: Typed) -> bool:
    return any(True for _ in references_in(part.parameters[-1:]))


def _shortened(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
