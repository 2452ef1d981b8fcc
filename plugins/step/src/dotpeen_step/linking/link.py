"""Link and unlink: a part's revisions, its external reference and their history change together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from dotpeen import Records
from dotpeen.database import Connection
from dotpeen.errors import DotpeenError
from dotpeen_step.linking import links
from dotpeen_step.linking.candidates import Candidate, candidates
from dotpeen_step.linking.claims import claim, lock_uuids
from dotpeen_step.linking.files import FileFacts, Item, keep_file, known_file
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.links import Link, LinkedProduct, MatchedBy
from dotpeen_step.linking.matching import KnownPart, Match, UnclearProductError, match, revision_uuid
from dotpeen_step.linking.parts import (
    Part,
    find_part,
    lock_part,
    set_reference,
)

if TYPE_CHECKING:
    from dotpeen import Transaction
    from dotpeen_step.inspection.inspect import Inspection

Outcome: TypeAlias = Literal["linked", "unchanged"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person says where a file is not clear."""

    product: str | None = None
    uuid: str | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """What became of a link."""

    outcome: Outcome
    part: Part
    link: Link
    current: bool
    """It is the current revision, and its UUID the part's external reference."""
    others: tuple[Candidate, ...] = ()
    """What else the product could have been."""


def link_file(
    records: Records,
    inspection: Inspection,
    identifier: str,
    *,
    column: str | None,
    by: str,
    choice: Choice = Choice(),
    name: str | None = None,
    newest_only: bool = False,
) -> Linked:
    """Link a part to a file: one revision of its CAD model, and from now on the current one.

    `name` is the file's where it has another one than on this machine. `newest_only`: current only where the file says
    that it was written after the one that is. A file that is linked to the part already stays as it is. Raises
    `UnclearProductError` and `UnclearRevisionError` where the file is not clear, `RevisionTakenError`, what `find_part`
    raises, and `ConfigurationError` where the role lacks a right.
    """
    part = find_part(records, identifier, column)
    facts = facts_of(inspection, name=name)
    with records.transaction() as within:
        return link_within(
            within, inspection, facts, part, column=column, by=by, choice=choice, newest_only=newest_only
        )


def linked_before(
    records: Records, identifier: str, sha256: str, *, column: str | None, choice: Choice
) -> Linked | None:
    """Return the link of a part to a file with this content, so that the file need not be read again.

    None where there is none, or a person chooses what only the file can tell. Raises what `find_part` does.
    """
    part = find_part(records, identifier, column)
    with records.transaction() as within:
        connection = within.connection
        if choice.product is not None or not SCHEMA.installed(connection):
            return None
        before = _linked_before(connection, part, bytes.fromhex(sha256))
        if before is None or choice.uuid not in (None, before.revision_uuid):
            return None
        now = links.current_of(connection, part.uuid)
        return Linked("unchanged", part, before, now is not None and now.id == before.id)


def link_within(
    within: Transaction,
    inspection: Inspection,
    facts: FileFacts,
    part: Part,
    *,
    column: str | None,
    by: str,
    choice: Choice = Choice(),
    newest_only: bool = False,
    matched_by: MatchedBy | None = None,
) -> Linked:
    """Link as `link_file` does, in a transaction of the caller's; who links several parts in one locks them first.

    `matched_by` is what told the caller that it is this part, where that was not a person.
    """
    connection = within.connection
    part = lock_part(within, part, column)
    SCHEMA.install(connection)
    before = _linked_before(connection, part, facts.sha256)
    if before is not None:
        return _unchanged(connection, part, before, inspection, facts.name, choice)
    known = _known(connection, part)
    found = _match(connection, inspection, known, facts.name, choice)
    uuid = revision_uuid(found.candidate, known, chosen=choice.uuid)
    if uuid is not None:
        claim(within, connection, part, uuid, column)
    current = uuid is not None and (
        not newest_only or _is_newer(facts, links.current_of(connection, part.uuid))
    )
    made = links.add_link(
        connection,
        part=part.uuid,
        file=keep_file(connection, facts, items_of(inspection)),
        revision_uuid=uuid,
        product=_product(found.candidate),
        matched_by=matched_by or found.matched_by,
        by=by,
        current=current,
    )
    if current and uuid != part.reference:
        set_reference(within, part, uuid)
    return Linked("linked", part, made, current, found.others)


def lock_all(within: Transaction, parts: Iterable[Part], uuids: Iterable[str], column: str | None) -> None:
    """Take every lock that linking several parts to a file needs, in an order that is the same for everybody."""
    for part in sorted(parts, key=lambda one: one.uuid):
        lock_part(within, part, column)
    lock_uuids(within.connection, uuids)


def link_uuid(records: Records, identifier: str, uuid: str, *, column: str | None, by: str) -> Linked:
    """Link a part to the UUID of a revision whose file is elsewhere; it is the current one from now on.

    Raises what `link_file` does but for unclear files.
    """
    part = find_part(records, identifier, column)
    with records.transaction() as within:
        connection = within.connection
        part = lock_part(within, part, column)
        SCHEMA.install(connection)
        before = links.link_of(connection, part.uuid, file=None, uuid=uuid)
        if before is not None:
            now = links.current_of(connection, part.uuid)
            return Linked("unchanged", part, before, now is not None and now.id == before.id)
        claim(within, connection, part, uuid, column)
        made = links.add_link(
            connection,
            part=part.uuid,
            file=None,
            revision_uuid=uuid,
            product=None,
            matched_by="said",
            by=by,
            current=True,
        )
        if uuid != part.reference:
            set_reference(within, part, uuid)
        return Linked("linked", part, made, current=True)


def facts_of(inspection: Inspection, *, name: str | None = None) -> FileFacts:
    """Return what is kept of a file; `name` where it has another one than on this machine."""
    schema = inspection.schema
    return FileFacts(
        sha256=bytes.fromhex(inspection.sha256),
        name=PurePath(name or inspection.file).name,
        size=inspection.size,
        protocol=schema.protocol if schema is not None else None,
        edition=schema.edition if schema is not None else None,
        schemas=tuple(one.raw for one in inspection.schemas),
        originating_system=inspection.originating_system,
        written_at=inspection.header.time_stamp,
    )


def items_of(inspection: Inspection) -> Iterator[Item]:
    """Yield every UUID of a file, one at a time: there may be hundreds of thousands."""
    for one in inspection.uuids:
        yield (
            UUID(one.uuid),
            one.product_ref,
            one.target_ref,
            one.carrier.value,
            one.kind,
            one.target_keyword,
            one.target_name,
        )


def _linked_before(connection: Connection, part: Part, sha256: bytes) -> Link | None:
    file = known_file(connection, sha256)
    return None if file is None else links.link_of(connection, part.uuid, file=file, uuid=None)


def _unchanged(
    connection: Connection, part: Part, before: Link, inspection: Inspection, name: str, choice: Choice
) -> Linked:
    if choice.product is not None:
        known = match(
            candidates(inspection), KnownPart(part.uuid, part.number), file=name, chosen=choice.product
        )
        if before.product is None or known.candidate.product.product_ref != before.product.ref:
            raise _linked_otherwise(part, before)
    if choice.uuid is not None and choice.uuid != before.revision_uuid:
        raise _linked_otherwise(part, before)
    now = links.current_of(connection, part.uuid)
    return Linked("unchanged", part, before, now is not None and now.id == before.id)


def _linked_otherwise(part: Part, before: Link) -> DotpeenError:
    product = f"product {before.product}, " if before.product is not None else ""
    return DotpeenError(
        f"{part} is linked to this file already, to {product}{before.revision_uuid or 'no UUID'}",
        hint="unlink it first: dotpeen step unlink",
    )


def _known(connection: Connection, part: Part) -> KnownPart:
    there = links.links_of(connection, part.uuid)
    uuids = frozenset(one.revision_uuid for one in there if one.revision_uuid is not None)
    return KnownPart(part.uuid, part.number, uuids)


def _match(
    connection: Connection, inspection: Inspection, known: KnownPart, name: str, choice: Choice
) -> Match:
    found = candidates(inspection)
    if choice.product is None and choice.uuid is not None:
        having = [one for one in found if choice.uuid in one.known_by]
        if len(having) == 1:
            return Match(having[0], "said")
    try:
        return match(found, known, file=name, chosen=choice.product)
    except UnclearProductError:
        if choice.product is not None or not known.linked:
            raise
        shared = links.shared_items(connection, known.uuid, inspection.uuids)
        return match(found, known, file=name, shared=shared)


def _product(candidate: Candidate) -> LinkedProduct:
    product = candidate.product
    return LinkedProduct(product.product_ref, product.id, product.name, product.revision)


def _is_newer(facts: FileFacts, now: Link | None) -> bool:
    if now is None:
        return True
    current = moment(now.file.written_at) if now.file is not None else None
    written = moment(facts.written_at)
    return written is not None and (current is None or written > current)


def moment(text: str) -> datetime | None:
    """Return the moment of a header's time stamp; one without a zone is taken to be UTC. None where it is none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
