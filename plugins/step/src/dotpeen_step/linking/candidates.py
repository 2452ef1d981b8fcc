"""The products of a file as what a part can be: each revision with the UUIDs that are its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.linking.naming import product_called

if TYPE_CHECKING:
    from dotpeen_step.inspection.inspect import Inspection
    from dotpeen_step.inspection.products import Product
    from dotpeen_step.inspection.uuids import UuidOccurrence

_SHOWN: Final = 5
"""UUIDs of a product that a message has."""
_NO_IDENTITY: Final = frozenset({Carrier.GUID_NAMESPACE, Carrier.GUID_RELATIONSHIP})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One revision of one product of a file."""

    product: Product
    """Its first definition."""
    uuids: tuple[UuidOccurrence, ...]
    """Those on the product itself: on the shape, the definition, the formation or the product."""

    @property
    def known_by(self) -> frozenset[str]:
        """Every UUID that the product has."""
        return frozenset(one.uuid for one in self.uuids)

    def revision_uuids(self, own: str) -> tuple[str, ...]:
        """Return the UUIDs that can be this revision's: one, where the file is clear; `own` is the part's.

        That of a UUID attribute goes before an anchor, and an anchor before all others. The part's own UUID, stamped
        into every revision, tells none from another: it is taken where there is nothing else.
        """
        carried = [one for one in self.uuids if one.uuid != own] or self.uuids
        shapes = frozenset(self.product.shape_refs)
        for ranked in (
            [one for one in carried if _is_attribute(one.carrier) and one.target_ref in shapes],
            [one for one in carried if _is_attribute(one.carrier)],
            [one for one in carried if one.carrier is Carrier.ANCHOR],
            carried,
        ):
            if ranked:
                return tuple(dict.fromkeys(one.uuid for one in ranked))
        return ()

    def __str__(self) -> str:
        uuids = self.revision_uuids("")
        return f"{self.called}, {', '.join(uuids[:_SHOWN]) or 'no UUID'}"

    @property
    def called(self) -> str:
        """What messages call it: id, name and revision."""
        return product_called(self.product.id, self.product.name, self.product.revision)


def candidates(inspection: Inspection) -> tuple[Candidate, ...]:
    """Return every revision of every product of a file, documents left out."""
    revisions: dict[tuple[int, int | None], list[Product]] = {}
    for product in inspection.products:
        if not product.is_document:
            revisions.setdefault((product.product_ref, product.formation_ref), []).append(product)
    carried = _carried(inspection, (ref for group in revisions.values() for one in group for ref in one.refs))
    return tuple(_candidate(group, carried) for group in revisions.values())


def _candidate(definitions: Sequence[Product], carried: Mapping[int, Sequence[UuidOccurrence]]) -> Candidate:
    refs = dict.fromkeys(ref for one in definitions for ref in one.refs)
    return Candidate(definitions[0], tuple(uuid for ref in refs for uuid in carried.get(ref, ())))


def _carried(inspection: Inspection, refs: Iterable[int]) -> Mapping[int, Sequence[UuidOccurrence]]:
    wanted = frozenset(refs)
    found: dict[int, list[UuidOccurrence]] = {}
    uuids = inspection.uuids
    for number in range(len(uuids)):
        target = uuids.target_of(number)
        if target in wanted:
            carrier = uuids.carrier_of(number)
            if carrier.identifies and carrier not in _NO_IDENTITY:
                found.setdefault(target, []).append(uuids[number])
    return found


def _is_attribute(carrier: Carrier) -> bool:
    return carrier.is_uuid_attribute or carrier is Carrier.GUID_ATTRIBUTE
