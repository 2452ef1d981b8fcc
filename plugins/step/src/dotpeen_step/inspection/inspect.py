"""Inspect a STEP file: products, assembly, UUIDs and what they identify, and what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.anchors import AnchorUuids
from dotpeen_step.inspection.carried import CarriedUuids
from dotpeen_step.inspection.collecting import Progress, collect
from dotpeen_step.inspection.findings import Finding, Findings, Rule
from dotpeen_step.inspection.lines import lines_of
from dotpeen_step.inspection.lint import UuidLint
from dotpeen_step.inspection.ownership import own
from dotpeen_step.inspection.pmi import Pmi, PmiCollector
from dotpeen_step.inspection.products import Product, Products, Usage
from dotpeen_step.inspection.properties import PropertyUuids
from dotpeen_step.inspection.representations import Representations
from dotpeen_step.inspection.schema import SchemaInfo, read_schema
from dotpeen_step.inspection.structure_lint import check_assembly, check_products, check_sections
from dotpeen_step.inspection.targets import Targets
from dotpeen_step.inspection.uuids import UuidOccurrence, Uuids
from dotpeen_step.part21.errors import Part21Error
from dotpeen_step.part21.file import Part21File

if TYPE_CHECKING:
    from dotpeen_step.part21.header import Header

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a STEP file holds, as far as identity is concerned."""

    file: str
    """Name of the file, as it was given."""
    size: int
    """Bytes."""
    sha256: str
    header: Header
    schemas: tuple[SchemaInfo, ...]
    """What FILE_SCHEMA declares."""
    products: tuple[Product, ...]
    usages: tuple[Usage, ...]
    uuids: Uuids
    pmi: tuple[Pmi, ...]
    """Dimensions, tolerances and datums."""
    findings: tuple[Finding, ...]
    """In the order of the file, a hundred of each rule at most."""
    left_out: dict[Rule, int]
    """How many more findings of a rule there are."""
    errors: int
    """Findings that are errors, those left out included."""
    warnings: int
    """Findings that are warnings, those left out included."""

    @property
    def originating_system(self) -> str:
        """The system that the file comes from, as it says itself."""
        return self.header.originating_system

    @property
    def schema(self) -> SchemaInfo | None:
        """The application protocol: the first schema that is one, else the first."""
        known = (schema for schema in self.schemas if schema.protocol is not None)
        return next(known, next(iter(self.schemas), None))

    @property
    def parts(self) -> tuple[Product, ...]:
        """The products that are no documents."""
        return tuple(product for product in self.products if not product.is_document)

    def identifying(self, product: Product) -> Iterator[UuidOccurrence]:
        """Yield the UUIDs of a product: of its PRODUCT, revision, definition or shape, in the order they were found."""
        refs = frozenset(product.refs)
        for number in range(len(self.uuids)):
            if self.uuids.target_of(number) in refs and self.uuids.carrier_of(number).identifies:
                yield self.uuids[number]


def inspect(file: Path | str | Part21File, *, progress: Progress | None = None) -> Inspection:
    """Inspect a STEP file; an open one stays open.

    `progress` is told how many bytes are done. Raises `Part21Error` where the file is not ISO 10303-21, or
    changed while it was read.
    """
    opened = nullcontext(file) if isinstance(file, Part21File) else Part21File.open(Path(file))
    with opened as part21, ThreadPoolExecutor(1) as beside:
        digest = beside.submit(_sha256, part21)
        found = _Found(part21)
        try:
            found.read(progress)
            inspection = found.inspection(digest.result())
        except Part21Error:
            part21.check_unchanged()  # what is wrong may come from that
            raise
        part21.check_unchanged()
        return inspection


class _Found:
    """What is found on the way."""

    def __init__(self, file: Part21File) -> None:
        self.file = file
        self.uuids = Uuids()
        self.findings = Findings()
        self.products = Products()
        self.pmi: tuple[Pmi, ...] = ()

    def read(self, progress: Progress | None) -> None:
        """Read the file, follow what was found, check it."""
        representations = Representations()
        properties = PropertyUuids(self.uuids, self.findings)
        anchors = AnchorUuids(self.uuids, self.findings)
        anchors.take(self.file)
        carried = CarriedUuids(self.uuids, self.findings)
        pmi = PmiCollector()
        collect(self.file, (self.products, representations, carried, properties, pmi), progress)
        properties.resolve(self.file)
        Targets(self.file, self.products, representations).identify(self.uuids)
        own(self.file, self.uuids, self.products, representations)
        self._read_pmi(pmi)
        self._check(anchors)

    def _read_pmi(self, collector: PmiCollector) -> None:
        """Read the PMI, and give dimensions the name of their feature: their own is that of their kind."""
        possible = [
            number
            for number in range(len(self.uuids))
            if self.uuids.kind_of(number) not in ("product", "topology")
        ]
        identified = (self.uuids[number] for number in possible)
        self.pmi = tuple(collector.read(self.file, identified, self.products))
        names = {one.ref: one.name for one in self.pmi if one.name}
        for number in possible:
            if name := names.get(self.uuids.target_of(number)):
                self.uuids.rename(number, name)

    def _check(self, anchors: AnchorUuids) -> None:
        UuidLint(self.uuids, self.findings, external=anchors.external).check(self.schemas)
        check_products(self.products.found, self.uuids, self.findings)
        check_assembly(self.products.found, self.products.usages, self.findings)
        check_sections(self.file, anchors.targets, self.findings)

    @property
    def schemas(self) -> tuple[SchemaInfo, ...]:
        return tuple(map(read_schema, self.file.header.schemas))

    def inspection(self, sha256: str) -> Inspection:
        """Return all that was found."""
        return Inspection(
            file=self.file.name,
            size=self.file.size,
            sha256=sha256,
            header=self.file.header,
            schemas=self.schemas,
            products=self.products.found,
            usages=tuple(self.products.usages),
            uuids=self.uuids,
            pmi=self.pmi,
            findings=tuple(_with_lines(self.file, self.findings.in_order())),
            left_out=self.findings.left_out,
            errors=self.findings.errors,
            warnings=self.findings.warnings,
        )


def _sha256(file: Part21File) -> str:
    digest = hashlib.sha256()
    for position in range(0, file.size, _CHUNK):
        digest.update(file.read(position, _CHUNK))
    return digest.hexdigest()


def _with_lines(file: Part21File, findings: Iterable[Finding]) -> Iterator[Finding]:
    findings = list(findings)
    lines = lines_of(file, (finding.byte for finding in findings))
    for finding in findings:
        yield replace(finding, line=lines[finding.byte])
