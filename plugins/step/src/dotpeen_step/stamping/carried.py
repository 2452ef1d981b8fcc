"""What a file carries already: the parts' UUIDs, our attributes, and what stands in the carrier that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dotpeen.identifiers import find_uuid
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.inspection.inspect import inspect
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.values import Reference
from dotpeen_step.stamping import uuid_attribute
from dotpeen_step.stamping.products import Product
from dotpeen_step.stamping.user_defined import ATTRIBUTE, read_attributes


@dataclass(frozen=True, slots=True)
class Carried:
    """One UUID that a file has on something."""

    uuid: str
    """Lower case; the text as it stands there, where it is no UUID."""
    carrier: Carrier
    """UUID_ATTRIBUTE for all UUID attributes of AP242 edition 4."""
    target: int | None
    """Instance name of what it is on."""
    product: int | None
    """Instance name of the PRODUCT that the target belongs to."""
    whole: bool
    """The target stands for the product, and not for one of its faces or tolerances."""
    said: str
    """What it is on, in messages: `PRODUCT #7 'PN-1001'`."""
    ours: bool = False
    """The attribute has Dotpeen's name."""


def find_carried(
    file: Part21File,
    products: Sequence[Product],
    counted: Mapping[str, int],
    uuids: Collection[str],
    carrier: Carrier,
) -> tuple[Carried, ...]:
    """Return everything that bears on putting these UUIDs into this carrier. Raises `Part21Error`.

    `counted` says how often each UUID, and the name of our attribute, occur in the file. Only where a UUID stands
    somewhere that isn't looked at anyway is the whole file inspected.
    """
    targets = _Targets(products)
    found = [*_anchors(file, targets)]
    if counted[ATTRIBUTE]:
        found += _attributes(file, targets)
    if carrier is Carrier.UUID_ATTRIBUTE:
        found += _uuid_attributes(file, targets)
    explained = {uuid: sum(one.uuid == uuid for one in found) for uuid in uuids}
    if any(counted[uuid] > explained[uuid] for uuid in uuids):
        found += _inspected(file, targets, uuids)
    return tuple(dict.fromkeys(found))


class _Targets:
    """What stands for which product."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._of = {ref: one for one in products for ref in one.refs}

    @property
    def refs(self) -> Collection[int]:
        """Instance names of all that stands for a product."""
        return self._of.keys()

    def carried(self, uuid: str, carrier: Carrier, target: int | None, *, ours: bool = False) -> Carried:
        product = self._of.get(target) if target is not None else None
        if product is not None:
            return Carried(uuid, carrier, target, product.ref, whole=True, said=product.said, ours=ours)
        said = "nothing in this file" if target is None else f"#{target}"
        return Carried(uuid, carrier, target, None, whole=False, said=said, ours=ours)


def _anchors(file: Part21File, targets: _Targets) -> Iterator[Carried]:
    for anchor in file.anchors:
        uuid = find_uuid(anchor.name)
        if uuid is not None:
            target = anchor.value.id if isinstance(anchor.value, Reference) else None
            yield targets.carried(uuid, Carrier.ANCHOR, target)


def _attributes(file: Part21File, targets: _Targets) -> Iterator[Carried]:
    for target, text in read_attributes(file, ATTRIBUTE):
        yield targets.carried(find_uuid(text) or text, Carrier.USER_DEFINED, target, ours=True)


def _uuid_attributes(file: Part21File, targets: _Targets) -> Iterator[Carried]:
    for target, text in uuid_attribute.read_attributes(file, targets.refs):
        yield targets.carried(find_uuid(text) or text, Carrier.UUID_ATTRIBUTE, target)


def _inspected(file: Part21File, targets: _Targets, uuids: Collection[str]) -> Iterator[Carried]:
    for one in inspect(file).uuids:
        if one.uuid in uuids and one.carrier.identifies:
            carrier = Carrier.UUID_ATTRIBUTE if one.carrier.is_uuid_attribute else one.carrier
            known = targets.carried(one.uuid, carrier, one.target_ref, ours=one.label == ATTRIBUTE)
            yield (
                known
                if known.whole
                else Carried(
                    one.uuid,
                    carrier,
                    one.target_ref,
                    one.product_ref,
                    whole=False,
                    said=f"#{one.target_ref} {one.target_keyword}" if one.target_ref else known.said,
                )
            )
