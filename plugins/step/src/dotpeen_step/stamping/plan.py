"""What stamping a file comes to: which part is which product, and the edits that put their UUIDs there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.inspection.schema import SchemaInfo, read_schema
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.values import Reference
from dotpeen_step.part21.writing import Numbering
from dotpeen_step.stamping import user_defined, uuid_attribute
from dotpeen_step.stamping.anchor import Raised, anchor_edits, raised_level
from dotpeen_step.stamping.carried import Carried, find_carried
from dotpeen_step.stamping.edits import Edit
from dotpeen_step.stamping.errors import CollisionError, StampError
from dotpeen_step.stamping.matching import Match, Wanted, match, require_different
from dotpeen_step.stamping.placing import instances_edit
from dotpeen_step.stamping.products import products_of
from dotpeen_step.stamping.signature import require_unsigned
from dotpeen_step.stamping.sweep import Sweep, sweep
from dotpeen_step.stamping.user_defined import ATTRIBUTE

Outcome: TypeAlias = Literal["stamped", "unchanged"]
CARRIERS: Final = (Carrier.USER_DEFINED, Carrier.ANCHOR, Carrier.UUID_ATTRIBUTE)
"""What a UUID can be put into, the default first."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One part in a file."""

    match: Match
    target: int
    """Instance name of what carries its UUID."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StampPlan:
    """What is to be done to a file; no edits where it carries everything already."""

    carrier: Carrier
    stamps: tuple[Stamp, ...]
    edits: tuple[Edit, ...]
    raised: Raised | None
    """The implementation level, where it changes."""


def plan_stamps(file: Part21File, wanted: Sequence[Wanted], carrier: Carrier) -> StampPlan:
    """Find the products of the parts and plan the edits.

    Raises `Part21Error` for a broken file, `StampError` where it isn't certain which product is meant, where the file
    says something else already, or where it can't have this carrier.
    """
    require_unsigned(file)
    uuids = [one.uuid for one in wanted]
    seen = sweep(file, uuids, ATTRIBUTE)
    products = products_of(seen.products.values())
    carried = find_carried(file, products, seen.counts, uuids, carrier)
    matches = [match(file.name, products, carried, one) for one in wanted]
    require_different(file.name, matches)
    targets = [_target(file, one, carrier) for one in matches]
    stamps = tuple(
        Stamp(one, target, _outcome(file, one, target, carried, carrier))
        for one, target in zip(matches, targets, strict=True)
    )
    missing = [one for one in stamps if one.outcome == "stamped"]
    edits = _EDITORS[carrier](file, missing, seen) if missing else []
    raised = raised_level(file.header) if missing and carrier is Carrier.ANCHOR else None
    return StampPlan(carrier, stamps, tuple(edits), raised)


def _target(file: Part21File, one: Match, carrier: Carrier) -> int:
    """Return what is to carry the UUID."""
    if carrier is not Carrier.UUID_ATTRIBUTE:
        return one.definition.ref
    if _schema(file) is None:
        declared = ", ".join(read_schema(raw).said for raw in file.header.schemas) or "no schema"
        raise StampError(
            file.name,
            one.wanted.part,
            f"a UUID attribute needs AP242 edition 4; the file declares {declared}",
            hint="the user-defined attribute and the anchor need no certain schema",
        )
    if len(one.definition.shapes) != 1:
        named = ", ".join(f"#{ref}" for ref in one.definition.shapes) or "none"
        raise StampError(
            file.name,
            one.wanted.part,
            f"a UUID attribute is of one PRODUCT_DEFINITION_SHAPE; {one.product.said} has {named}",
            hint="the user-defined attribute and the anchor need none",
        )
    return one.definition.shapes[0]


def _schema(file: Part21File) -> SchemaInfo | None:
    """Return the schema that has UUID attributes."""
    schemas = map(read_schema, file.header.schemas)
    return next((one for one in schemas if one.protocol == "AP242" and one.edition == 4), None)


def _outcome(
    file: Part21File, one: Match, target: int, carried: Sequence[Carried], carrier: Carrier
) -> Outcome:
    """Tell whether the UUID is there already. Raises `CollisionError` where the file says something else."""
    name, part, uuid = file.name, one.wanted.part, one.wanted.uuid
    for other in carried:
        if other.uuid == uuid and (not other.whole or other.product != one.product.ref):
            raise CollisionError(
                name,
                part,
                f"its UUID {uuid} is on {other.said} already ({other.carrier.value})",
                hint="a UUID identifies one thing: find out which of the two has it rightly",
            )
    there = [other for other in carried if other.product == one.product.ref and _same_place(other, carrier)]
    different = [other for other in there if other.uuid != uuid and other.target == target]
    if different:
        raise CollisionError(
            name,
            part,
            f"{one.product.said} has another UUID there, {different[0].uuid} ({carrier.value} on #{target})",
            hint="take another carrier, or find out which UUID is right",
        )
    return "unchanged" if any(other.uuid == uuid for other in there) else "stamped"


def _same_place(other: Carried, carrier: Carrier) -> bool:
    """Tell whether a UUID stands where Dotpeen would put it. Attributes of other names are other systems' business."""
    return other.carrier is carrier and (other.ours or carrier is not Carrier.USER_DEFINED)


def _user_defined(file: Part21File, stamps: Sequence[Stamp], seen: Sweep) -> list[Edit]:
    known = seen.context or _any_context(file)
    ids = file.unused_ids(user_defined.INSTANCES * len(stamps) + (known is None))
    numbering = Numbering(ids)
    context = user_defined.add_context(numbering) if known is None else Reference(known)
    for one in stamps:
        definition = Reference(one.match.definition.ref)
        user_defined.add_attribute(numbering, definition, context, ATTRIBUTE, one.match.wanted.uuid)
    return [instances_edit(file, stamps[0].match.definition.end, numbering.taken(), doubtful=seen.doubtful)]


def _any_context(file: Part21File) -> int | None:
    """Return the context of some representation."""
    return next((one.id for one in file.find(frozenset({"REPRESENTATION_CONTEXT"}))), None)


def _anchors(file: Part21File, stamps: Sequence[Stamp], seen: Sweep) -> list[Edit]:
    return anchor_edits(file, [(one.match.wanted.uuid, one.target) for one in stamps])


def _uuid_attributes(file: Part21File, stamps: Sequence[Stamp], seen: Sweep) -> list[Edit]:
    schema = _schema(file)
    typed = uuid_attribute.is_typed(file, prototype=schema is not None and schema.prototype)
    numbering = Numbering(file.unused_ids(len(stamps)))
    for one in stamps:
        uuid = one.match.wanted.uuid
        identified = uuid_attribute.identified(Reference(one.target), typed=typed)
        numbering.add(uuid_attribute.require_entity(uuid), uuid, identified)
    return [instances_edit(file, stamps[0].match.definition.end, numbering.taken(), doubtful=seen.doubtful)]


_EDITORS: Final[dict[Carrier, Callable[[Part21File, Sequence[Stamp], Sweep], list[Edit]]]] = {
    Carrier.USER_DEFINED: _user_defined,
    Carrier.ANCHOR: _anchors,
    Carrier.UUID_ATTRIBUTE: _uuid_attributes,
}
