"""Propose links for files: which of their products are which parts, and what is certain enough to be applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from dotpeen import Records
from dotpeen.database import Connection
from dotpeen.errors import DotpeenError, InvalidQueryError
from dotpeen_step.linking import links
from dotpeen_step.linking.candidates import Candidate, candidates
from dotpeen_step.linking.file_links import FileLinks, links_of_file
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.link import Choice, facts_of, link_within, lock_all
from dotpeen_step.linking.links import MatchedBy
from dotpeen_step.linking.matching import EVIDENCE, KnownPart, UnclearRevisionError, revision_uuid
from dotpeen_step.linking.parts import ENTITY, Part, in_lots, part_of, parts_by_uuid

if TYPE_CHECKING:
    from dotpeen_step.inspection.inspect import Inspection

Status: TypeAlias = Literal["certain", "ambiguous", "unmatched", "linked", "unlinked", "applied", "failed"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What becomes of one product of a file."""

    file: Path
    status: Status
    product_ref: int
    product_id: str
    product_name: str
    revision: str
    uuid: str | None
    part: Part | None = None
    """The part that it is; None where that is not certain."""
    matched_by: MatchedBy | None = None
    candidates: tuple[Part, ...] = ()
    """The parts that it could be."""
    reason: str = ""


class Proposer:
    """Looks for the parts of files' products."""

    def __init__(self, records: Records, *, column: str | None) -> None:
        self._records = records
        self._column = column

    def propose(self, file: Path, inspection: Inspection) -> tuple[Proposal, ...]:
        """Return a proposal for each revision of each product of a file."""
        found = candidates(inspection)
        with self._records.transaction() as within:
            there = links_of_file(within, inspection.sha256, self._column)
            parts = list(_evidence(within, within.connection, found, self._column))
        claimed = Counter(part.uuid for speaking in parts for part in {*speaking.values()})
        return tuple(
            self._proposal(file, one, speaking, there, claimed)
            for one, speaking in zip(found, parts, strict=True)
        )

    def apply(
        self, inspection: Inspection, proposals: Sequence[Proposal], *, by: str
    ) -> tuple[Proposal, ...]:
        """Link what is certain of one file, all of it or, after an error, nothing."""
        certain = [one for one in proposals if one.status == "certain" and one.part is not None]
        if not certain:
            return tuple(proposals)
        facts = facts_of(inspection)
        try:
            with self._records.transaction() as within:
                parts = [one.part for one in certain if one.part is not None]
                lock_all(within, parts, {one.uuid for one in certain if one.uuid is not None}, self._column)
                for one, part in zip(certain, parts, strict=True):
                    link_within(
                        within,
                        inspection,
                        facts,
                        part,
                        column=self._column,
                        by=by,
                        choice=Choice(product=f"#{one.product_ref}", uuid=one.uuid),
                        newest_only=True,
                        matched_by=one.matched_by,
                    )
        except DotpeenError as error:
            failed = [replace(one, status="failed", reason=error.message) for one in certain]
            done: Mapping[int, Proposal] = dict(zip(map(id, certain), failed, strict=True))
        else:
            done = {id(one): replace(one, status="applied") for one in certain}
        return tuple(done.get(id(one), one) for one in proposals)

    def _proposal(
        self,
        file: Path,
        one: Candidate,
        speaking: Mapping[tuple[MatchedBy, int], Part],
        there: FileLinks,
        claimed: Mapping[str, int],
    ) -> Proposal:
        product = one.product
        uuids = one.revision_uuids("")
        base = Proposal(
            file, "unmatched", product.product_ref, product.id, product.name, product.revision,
            uuids[0] if len(uuids) == 1 else None,
        )  # fmt: skip
        parts = tuple({part.uuid: part for part in speaking.values()}.values())
        link = there.of(one, [part.uuid for part in parts])
        if link is not None:
            return replace(
                base,
                status="linked",
                part=there.parts[link.part],
                uuid=link.revision_uuid,
                matched_by=link.matched_by,
            )
        if not parts:
            return replace(base, reason="no part has its number or UUID")
        if len(parts) > 1:
            kinds = ", ".join(f"{part} by {kind}" for (kind, _), part in speaking.items())
            return replace(base, status="ambiguous", candidates=parts, reason=f"it could be {kinds}")
        (part,) = parts
        kind = next(kind for kind in EVIDENCE if any(spoke == kind for spoke, _ in speaking))
        if (other := there.linked.get(part.uuid)) is not None:
            reason = f"{part} is linked to {other.product} of this file"
            return replace(base, status="ambiguous", candidates=parts, reason=reason)
        if (ended := there.unlinked.get(part.uuid)) is not None:
            reason = f"it was unlinked {ended.unlinked_at:%Y-%m-%d %H:%M} by {ended.unlinked_by}"
            return replace(base, status="unlinked", part=part, matched_by=kind, reason=reason)
        if claimed[part.uuid] > 1:
            reason = f"{claimed[part.uuid]} products of the file could be {part}"
            return replace(base, status="ambiguous", candidates=parts, reason=reason)
        try:
            uuid = revision_uuid(one, KnownPart(part.uuid, part.number))
        except UnclearRevisionError as error:
            return replace(base, status="ambiguous", candidates=parts, reason=error.message)
        return replace(base, status="certain", part=part, uuid=uuid, matched_by=kind)


def _evidence(
    records: Records, connection: Connection, found: Sequence[Candidate], column: str | None
) -> Iterator[Mapping[tuple[MatchedBy, int], Part]]:
    """Yield for each product the parts that something speaks for, by what does."""
    uuids = {uuid for one in found for uuid in one.known_by}
    own = parts_by_uuid(records, uuids, column)
    linked = links.parts_with(connection, uuids) if SCHEMA.installed(connection) else {}
    theirs = parts_by_uuid(records, {part for parts in linked.values() for part in parts}, column)
    numbers = _by_number(records, {one.product.id for one in found}, column)
    for one in found:
        speaking: dict[tuple[MatchedBy, int], Part] = {}
        groups: Sequence[tuple[MatchedBy, Iterable[Part]]] = (
            ("persistent-uuid", [own[uuid] for uuid in sorted(one.known_by) if uuid in own]),
            (
                "linked-uuid",
                [
                    theirs[part]
                    for uuid in sorted(one.known_by)
                    for part in linked.get(uuid, ())
                    if part in theirs
                ],
            ),
            ("part-number", numbers.get(one.product.id, ())),
        )
        for kind, parts in groups:
            for number, part in enumerate(parts):
                speaking[kind, number] = part
        yield speaking


def _by_number(records: Records, numbers: Iterable[str], column: str | None) -> Mapping[str, Sequence[Part]]:
    found: dict[str, list[Part]] = {}
    if column is None:
        return found
    for some in in_lots(number for number in numbers if number and "\0" not in number):
        try:
            parts = list(_listed(records, column, some))
        except InvalidQueryError:  # a column of numbers, and ids that are none
            parts = [part for one in some for part in _if_possible(records, column, one)]
        for part in parts:
            found.setdefault(part.number or "", []).append(part)
    return found


def _if_possible(records: Records, column: str, number: str) -> Sequence[Part]:
    try:
        return list(_listed(records, column, [number]))
    except InvalidQueryError:
        return ()


def _listed(records: Records, column: str, numbers: Sequence[str]) -> Iterator[Part]:
    cursor = None
    while True:
        page = records.list(ENTITY, filters={column: numbers}, limit=500, cursor=cursor)
        for record in page.records:
            yield part_of(record, column)
        cursor = page.next_cursor
        if cursor is None:
            return
