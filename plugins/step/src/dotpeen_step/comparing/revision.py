"""One of two files that are compared: its products, its UUIDs, and what each of them identifies."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING
from uuid import UUID

from dotpeen_step.comparing.changes import File, Identified, Product
from dotpeen_step.comparing.digests import Digests, representations
from dotpeen_step.comparing.graph import NOWHERE, Graph, digest
from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.linking.candidates import Candidate, candidates

if TYPE_CHECKING:
    from dotpeen_step.part21 import Instance, Part21File

_NOTHING = 0
"""The digest of a UUID that identifies no item of its file."""


class Revision:
    """A file and its UUIDs."""

    def __init__(self, file: Part21File, progress: Callable[[int], None] | None = None) -> None:
        """Read what is in a file, which has to stay open. Raises `Part21Error` where it is not ISO 10303-21."""
        self._file = file
        self.inspection = inspect(file, progress=progress)
        self.products = candidates(self.inspection)
        """Without documents."""
        self._by_product: dict[int, int] = {}
        self._by_ref: dict[int, int] = {}
        for place, one in enumerate(self.products):
            self._by_product.setdefault(one.product.product_ref, place)
            self._by_ref.update((ref, place) for ref in one.product.refs if ref not in self._by_ref)
        self._occurrences = self._noted()
        self._digests: Digests | None = None
        self._shapes: dict[int, list[int]] = {}
        self._outside: dict[int, str] = {}

    @property
    def file(self) -> File:
        """What the file is."""
        found = self.inspection
        return File(
            name=PurePath(self._file.name).name,
            sha256=found.sha256,
            size=found.size,
            schemas=found.header.schemas,
            originating_system=found.originating_system,
        )

    @property
    def uuids(self) -> Iterable[bytes]:
        """All UUIDs that identify something, 16 bytes each."""
        return self._occurrences.keys()

    def __contains__(self, uuid: object) -> bool:
        return uuid in self._occurrences

    def place(self, uuid: bytes) -> int:
        """Return which occurrence of the file a UUID's first is."""
        return self._numbers(uuid)[0]

    def identified(self, uuid: bytes) -> Identified:
        """Return what a UUID identifies."""
        number, *others = self._numbers(uuid)
        one = self.inspection.uuids[number]
        return Identified(
            ref=one.target_ref,
            keyword=one.target_keyword,
            name=one.target_name,
            kind=one.kind,
            product=self._by_product.get(one.product_ref or 0),
            also=len(others),
        )

    def product(self, uuid: bytes) -> Candidate | None:
        """Return the product that a UUID stands for: that of its definition, its shape and so on."""
        place = self._by_ref.get(self.inspection.uuids.target_of(self.place(uuid)))
        return None if place is None else self.products[place]

    def told(self, place: int) -> Product:
        """Return what is told of a product."""
        candidate = self.products[place]
        return Product(
            id=candidate.product.id,
            name=candidate.product.name,
            revision=candidate.product.revision,
            ref=candidate.product.product_ref,
            uuids=candidate.revision_uuids(""),
        )

    def digest(self, wanted: Sequence[bytes], progress: Callable[[int], None] | None = None) -> array[int]:
        """Return a digest of what each of some UUIDs identifies: equal ones of two files say the same."""
        graph = Graph.read(self._file, progress)
        target = self.inspection.uuids.target_of
        slots = ((graph.slot(target(self.place(uuid))), uuid) for uuid in self._occurrences)
        names = {slot: digest(uuid) for slot, uuid in slots if slot != NOWHERE}
        self._digests = Digests(graph, names)
        self._shapes = representations(graph)
        self._outside = graph.outside
        found = array("Q", (self._digest(uuid) for uuid in wanted))
        graph.forget_references()
        self._digests.forget()
        return found

    def shape(self, candidate: Candidate) -> list[int]:
        """Return the representations of a product's shape, by instance name."""
        return [one for shape in candidate.product.shape_refs for one in self._shapes.get(shape, ())]

    def known(self, ref: int) -> int:
        """Return the digest of an instance that some item is made of."""
        return self._known.known(ref)

    def said(self, ref: int) -> Iterable[tuple[int, int]]:
        """Return the names of the instances that say something of one, each with the digest of what it says."""
        return self._known.said(ref)

    def places(self, ref: int) -> frozenset[str]:
        """Return the UUIDs of the geometry that an aspect of the shape is."""
        places = self._known.places(ref)
        return frozenset(str(UUID(bytes=self._names[one])) for one in places) if places else frozenset()

    def uuid_of(self, ref: int) -> str | None:
        """Return the UUID that identifies an instance."""
        number = self._by_target.get(ref)
        return None if number is None else str(UUID(bytes=self.inspection.uuids.bytes_of(number)))

    def fetch(self, refs: Iterable[int]) -> dict[int, Instance]:
        """Return instances by name; those that aren't there are left out."""
        return self._file.fetch({ref for ref in refs if ref not in self._outside})

    def named(self, ref: int | None) -> str | None:
        """Return how to tell of an instance: its entity, and its UUID where it has one."""
        if ref is None:
            return None
        number = self._by_target.get(ref)
        if number is not None:
            return f"{self.inspection.uuids.keyword_of(number)} {self.uuid_of(ref)}"
        if ref in self._outside:
            return f"<{self._outside[ref]}>"
        instance = self.fetch([ref]).get(ref)
        return "nothing" if instance is None else "+".join(instance.keywords)

    @property
    def _known(self) -> Digests:
        if self._digests is None:
            raise RuntimeError("the revision has not been digested yet")
        return self._digests

    @cached_property
    def _names(self) -> dict[int, bytes]:
        return {digest(uuid): uuid for uuid in self._occurrences}

    @cached_property
    def _by_target(self) -> dict[int, int]:
        target = self.inspection.uuids.target_of
        return {target(number): number for uuid in self._occurrences for number in self._numbers(uuid)}

    def _digest(self, uuid: bytes) -> int:
        said = []
        for number in self._numbers(uuid):
            target = self.inspection.uuids.target_of(number)
            place = self._by_ref.get(target)
            if place is not None:
                said.append(self._digest_of_product(self.products[place]))
            else:
                said.append(self._known.of_all([target]) if target else _NOTHING)
        return said[0] if len(said) == 1 else digest(array("Q", sorted(said)).tobytes())

    def _digest_of_product(self, candidate: Candidate) -> int:
        shape = self._known.of_all(self.shape(candidate))
        return digest(repr((texts(candidate), shape)).encode("utf-8", "surrogatepass"))

    def _numbers(self, uuid: bytes) -> Sequence[int]:
        found = self._occurrences[uuid]
        return (found,) if isinstance(found, int) else found

    def _noted(self) -> dict[bytes, int | array[int]]:
        """Return the occurrences of each UUID, one for each item that it identifies."""
        uuids = self.inspection.uuids
        noted: dict[bytes, int | array[int]] = {}
        for number in range(len(uuids)):
            if not _takes_part(uuids.carrier_of(number)):
                continue
            uuid = uuids.bytes_of(number)
            before = noted.setdefault(uuid, number)
            known = (before,) if isinstance(before, int) else before
            if uuids.target_of(number) not in {uuids.target_of(one) for one in known}:
                noted[uuid] = array("Q", [*known, number])
        return noted


def texts(candidate: Candidate) -> tuple[str, str, str, str]:
    """Return what a product says of itself: id, name, description, revision."""
    product = candidate.product
    return product.id, product.name, product.description, product.revision


def _takes_part(carrier: Carrier) -> bool:
    return carrier.identifies and carrier not in (Carrier.GUID_NAMESPACE, Carrier.GUID_RELATIONSHIP)
