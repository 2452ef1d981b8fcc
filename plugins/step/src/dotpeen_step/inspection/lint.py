"""Check the UUIDs, products and anchors of a file."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from dotpeen_step.inspection.carriers import VERSION_OF, Carrier
from dotpeen_step.inspection.groups import groups, repeated

if TYPE_CHECKING:
    from dotpeen_step.inspection.findings import Findings, Severity
    from dotpeen_step.inspection.schema import SchemaInfo
    from dotpeen_step.inspection.uuids import UuidOccurrence, Uuids

_MOST_NAMED: Final = 5
_VARIANTS: Final = frozenset("89ab")
_SELECTED_NOT: Final = "PRODUCT"
"""No member of the select type `uuid_attribute_select` of edition 4."""


class UuidLint:
    """Checks each UUID by itself, then all of them with each other."""

    def __init__(self, uuids: Uuids, findings: Findings, *, external: Collection[int] = ()) -> None:
        self._uuids = uuids
        self._findings = findings
        self._external = external
        """Instance names of the REFERENCE section: their items are in other files."""

    def check(self, schemas: Collection[SchemaInfo]) -> None:
        """Note all that is wrong with the UUIDs of a file."""
        edition = _edition_fault(schemas)
        before = None
        for number in range(len(self._uuids)):
            carrier = self._uuids.carrier_of(number)
            self._target(number, carrier)
            if (place := (carrier, self._uuids.carrier_ref_of(number))) == before:
                continue  # another item of the same carrier
            before = place
            if edition is not None and carrier.is_uuid_attribute:
                self._wrong_edition(self._uuids[number], *edition)
            if carrier.is_prototype:
                self._prototype(self._uuids[number])
            if carrier in VERSION_OF:
                self._version(number, VERSION_OF[carrier])
            if not self._uuids.is_exact(number) and carrier is not Carrier.ANCHOR:
                self._form(self._uuids[number])
        self._duplicates()
        self._several()

    def _wrong_edition(self, one: UuidOccurrence, severity: Severity, said: str) -> None:
        self._findings.add(
            "carrier-edition",
            one.offset,
            f"#{one.carrier_ref} {one.carrier.name}: {said}",
            "write the file as AP242 edition 4, or use a user-defined attribute or an ANCHOR section instead",
            severity=severity,
        )

    def _prototype(self, one: UuidOccurrence) -> None:
        self._findings.add(
            "carrier-prototype",
            one.offset,
            f"#{one.carrier_ref} {one.carrier.name}: an entity of a prototype that no edition of AP242 has",
            "write V4_UUID_ATTRIBUTE or V5_UUID_ATTRIBUTE of edition 4 instead",
        )

    def _version(self, number: int, version: int) -> None:
        sixteen = self._uuids.bytes_of(number)
        digit, variant = sixteen[6] >> 4, f"{sixteen[8] >> 4:x}"
        if digit == version and variant in _VARIANTS:
            return
        one = self._uuids[number]
        said = f"version digit {digit:x}" if digit != version else f"variant digit {variant}"
        self._findings.add(
            "uuid-version",
            one.offset,
            f"#{one.carrier_ref} {one.carrier.name}: {one.uuid} has the {said}, not that of version {version}",
            f"have the system that wrote it make UUIDs of version {version} (RFC 9562), "
            "or write the attribute of the version they have",
        )

    def _form(self, one: UuidOccurrence) -> None:
        self._findings.add(
            "uuid-form",
            one.offset,
            f"{_carried(one)}: {one.text[:80]!r} is read as {one.uuid}",
            "write UUIDs in lower case with hyphens, without blanks, braces or prefix",
        )

    def _target(self, number: int, carrier: Carrier) -> None:
        target = self._uuids.target_of(number)
        keyword = self._uuids.keyword_of(number)
        if target and not keyword and target not in self._external:
            one = self._uuids[number]
            self._findings.add(
                "uuid-dangling",
                one.offset,
                f"{_carried(one)}: {one.uuid} is to identify #{target}, which is not in the file",
                "remove the UUID, or bring back the item that it identified",
            )
        elif keyword == _SELECTED_NOT and carrier.is_uuid_attribute:
            one = self._uuids[number]
            self._findings.add(
                "uuid-target",
                one.offset,
                f"{_carried(one)}: {one.uuid} identifies the PRODUCT #{target}, which the attribute can't",
                "let it identify the PRODUCT_DEFINITION_SHAPE, as other systems do",
            )

    def _duplicates(self) -> None:
        """Note UUIDs that identify different items."""
        for some in groups(len(self._uuids), lambda number: self._uuids.bytes_of(number)[-1]):
            for numbers in repeated(some, self._identifying):
                self._check_same(numbers)

    def _identifying(self, number: int) -> bytes | None:
        return self._uuids.bytes_of(number) if self._uuids.carrier_of(number).identifies else None

    def _check_same(self, numbers: list[int]) -> None:
        """Check that carriers of one UUID mean the same: one item, one product, or the items of one carrier."""
        first = self._uuids[numbers[0]]
        meant = {self._meant(number) for number in numbers}
        others = [
            one for number in numbers[1:] if (one := self._uuids[number]).carrier_ref != first.carrier_ref
        ]
        if len(meant) < 2 or not others:
            return
        named = ", ".join(f"{_identified(one)} ({_carried(one)})" for one in others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        self._findings.add(
            "uuid-duplicate",
            others[0].offset,
            f"{first.uuid} identifies {_identified(first)} ({_carried(first)}), and also {named}{more}",
            "give all but one of them UUIDs of their own",
        )

    def _meant(self, number: int) -> tuple[str, int]:
        """Return what an occurrence's UUID means: a product as a whole, whatever stands for it, or an item."""
        if self._uuids.kind_of(number) == "product" and (product := self._uuids.product_of(number)):
            return "product", product
        return "item", self._uuids.target_of(number)

    def _several(self) -> None:
        """Note items that have several UUIDs."""
        for some in groups(len(self._uuids), self._uuids.target_of):
            for numbers in repeated(some, self._identified_item):
                if len({self._uuids.bytes_of(number) for number in numbers}) > 1:
                    self._note_several([self._uuids[number] for number in numbers])

    def _identified_item(self, number: int) -> int | None:
        return (self._uuids.target_of(number) or None) if self._uuids.carrier_of(number).identifies else None

    def _note_several(self, occurrences: list[UuidOccurrence]) -> None:
        named = [f"{one.uuid} ({_carried(one)})" for one in occurrences]
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        self._findings.add(
            "uuid-several",
            occurrences[1].offset,
            f"{_identified(occurrences[0])} has several UUIDs: {', '.join(named[:_MOST_NAMED])}{more}",
            "keep the one that persists; where a link has to be made, say which with --uuid",
        )


def _edition_fault(schemas: Collection[SchemaInfo]) -> tuple[Severity, str] | None:
    """Return why the schemas have no UUID attributes; None where one has."""
    if any(schema.edition == 4 for schema in schemas):
        return None
    declared = ", ".join(schema.said[:80] for schema in schemas) or "no schema"
    if any(schema.protocol == "AP242" and schema.edition is None for schema in schemas):
        return "warning", f"an entity of AP242 edition 4, and the file declares {declared} without an edition"
    return "error", f"an entity of AP242 edition 4, and the file declares {declared}"


def _carried(one: UuidOccurrence) -> str:
    if one.carrier in (Carrier.ANCHOR, Carrier.REFERENCE):
        return f"{one.carrier.value} at byte {one.offset}"
    named = f" {one.label[:80]!r}" if one.label else ""
    return f"#{one.carrier_ref} {one.carrier.value}{named}"


def _identified(one: UuidOccurrence) -> str:
    if one.target_ref is None:
        return "no item of this file"
    named = f" {one.target_name[:80]!r}" if one.target_name else ""
    return f"#{one.target_ref} {one.target_keyword or 'that is not there'}{named}"
