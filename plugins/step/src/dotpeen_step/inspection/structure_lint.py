"""Check what UUIDs stand on: products, assembly, sections, schemas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dotpeen_step.inspection.findings import Findings
    from dotpeen_step.inspection.products import Product, Usage
    from dotpeen_step.inspection.uuids import Uuids
    from dotpeen_step.part21.file import Part21File

_MOST_NAMED: Final = 5
_BATCH: Final = 5000


def check_products(products: Collection[Product], uuids: Uuids, findings: Findings) -> None:
    """Note products that share an id, and those that no UUID identifies."""
    parts = {product.product_ref: product for product in products if not product.is_document}
    ids = Counter(product.id for product in parts.values())
    told: set[str] = set()
    for product in parts.values():
        if ids[product.id] > 1 and product.id not in told:
            told.add(product.id)
            findings.add(
                "product-same-id",
                product.offset,
                f"{ids[product.id]} products have the id {product.id[:80]!r}",
                "give each product an id of its own: as it is, only a UUID tells them apart",
            )
    identified = {
        uuids.product_of(number)
        for number in range(len(uuids))
        if uuids.kind_of(number) == "product" and uuids.carrier_of(number).identifies
    }
    without = [product for ref, product in parts.items() if ref not in identified]
    if without and (len(parts) > 1 or not identified):
        names = [repr((product.id or product.name)[:80]) for product in without]
        named = ", ".join(names[:_MOST_NAMED]) + (
            f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        )
        said = "1 product has" if len(without) == 1 else f"{len(without)} of {len(parts)} products have"
        findings.add(
            "product-without-uuid",
            without[0].offset,
            f"{said} no UUID: {named}",
            "write one with dotpeen step stamp, or switch on persistent identifiers in the CAD system's export",
        )


def check_assembly(products: Iterable[Product], usages: Collection[Usage], findings: Findings) -> None:
    """Note usages of definitions that aren't there, and definitions that contain themselves."""
    definitions = {product.definition_ref for product in products if product.definition_ref is not None}
    children: dict[int, dict[int, Usage]] = {}
    for usage in usages:
        missing = [ref for ref in (usage.parent, usage.child) if ref not in definitions]
        if missing:
            findings.add(
                "assembly-dangling",
                usage.offset,
                f"#{usage.ref} puts together #{usage.parent} and #{usage.child}: "
                + " and ".join(f"#{ref}" for ref in missing)
                + (" are" if len(missing) > 1 else " is")
                + " no product definition of this file",
                "export the assembly again with all its components",
            )
        else:
            children.setdefault(usage.parent, {}).setdefault(usage.child, usage)
    for usage in _closing(children):
        findings.add(
            "assembly-cycle",
            usage.offset,
            f"#{usage.ref} puts #{usage.child} into #{usage.parent}, which is a component of it",
            "an assembly can't contain itself: correct the structure in the CAD system",
        )


def _closing(children: Mapping[int, Mapping[int, Usage]]) -> list[Usage]:
    """Return the usages that lead back to where they come from: one for each way around."""
    closing = []
    done: set[int] = set()
    for root in children:
        if root in done:
            continue
        on_way = {root}
        way = [(root, iter(children[root].items()))]
        while way:
            parent, following = way[-1]
            child, usage = next(following, (0, None))
            if usage is None:
                way.pop()
                on_way.discard(parent)
                done.add(parent)
            elif child in on_way:
                closing.append(usage)
            elif child in children and child not in done:
                on_way.add(child)
                way.append((child, iter(children[child].items())))
    return closing


def check_sections(file: Part21File, anchored: Mapping[int, int], findings: Findings) -> None:
    """Note sections that the edition doesn't have, schemas that aren't declared, anchors that lead nowhere.

    `anchored` has the instances that anchors lead to, each with the first byte of an anchor.
    """
    header = file.header
    level = header.implementation_level
    if file.anchor_section is not None and header.edition != 3:
        findings.add(
            "anchor-level",
            file.anchor_section.start,
            f"the file has an ANCHOR section and declares implementation level {level[:20]!r}",
            "an ANCHOR section needs edition 3 of ISO 10303-21: implementation level '4;1', '4;2' or '4;3'",
        )
    declared = {_schema_name(schema) for schema in header.schemas}
    for section in file.data_sections:
        for schema in section.schemas:
            if _schema_name(schema) not in declared:
                findings.add(
                    "schema-undeclared",
                    section.start,
                    f"the data section {section.name[:80]!r} uses the schema {schema[:80]!r}, "
                    "which FILE_SCHEMA doesn't have",
                    "add the schema to FILE_SCHEMA",
                )
    refs = sorted(anchored)
    for start in range(0, len(refs), _BATCH):
        batch = refs[start : start + _BATCH]
        found = file.has(batch)
        for ref in batch:
            if ref not in found:
                findings.add(
                    "anchor-dangling",
                    anchored[ref],
                    f"an anchor leads to #{ref}, which is not in the file",
                    "remove the anchor, or bring back what it led to",
                )


def _schema_name(raw: str) -> str:
    return raw.partition("{")[0].strip().upper()
