"""What the links say to others: a part's CAD revisions, the parts that a CAD UUID leads to, what is out of step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dotpeen.database import Connection
from dotpeen.hooks import RecordReference, ThreadEntry, VerificationCheck
from dotpeen.registry import Entity
from dotpeen_step.linking import links
from dotpeen_step.linking.consistency import without_history, without_part
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.links import Link
from dotpeen_step.linking.parts import ENTITY, REFERENCE

_ENTRIES: Final = 100
"""Revisions of a part, and parts of a UUID, that an answer has."""
_KINDS: Final = {
    "product": "cad-product",
    "pmi": "cad-pmi",
    "topology": "cad-topology",
    "geometry": "cad-geometry",
    "other": "cad-item",
}
# What is a UUID in a file and not the item's own leads nowhere.
_ITEMS: Final = (
    "SELECT DISTINCT l.part::text, i.kind FROM dotpeen_step.item AS i JOIN dotpeen_step.link AS l ON l.file = i.file"
    " WHERE i.uuid = %(uuid)s::uuid AND l.unlinked_at IS NULL AND (i.product = l.product OR i.product IS NULL)"
    " AND i.carrier NOT IN ('reference', 'property') ORDER BY 1, 2 LIMIT %(limit)s"
)
_REVISIONS: Final = (
    "SELECT DISTINCT part::text, 'revision' FROM dotpeen_step.link"
    " WHERE revision_uuid = %(uuid)s::uuid AND unlinked_at IS NULL ORDER BY 1 LIMIT %(limit)s"
)


def entries(connection: Connection, part: str) -> Sequence[ThreadEntry]:
    """Return the CAD revisions of a part, the latest first; nothing that names files or people of the site."""
    if not SCHEMA.rights(connection, "SELECT"):
        return ()
    now = links.current_of(connection, part)
    return [
        ThreadEntry(
            "cad-revision",
            one.revision_uuid or f"sha256:{one.file.sha256 if one.file is not None else ''}",
            one.linked_at,
            {**public(one), "current": now is not None and now.id == one.id},
        )
        for one in links.links_of(connection, part, limit=_ENTRIES)
    ]


def public(link: Link) -> dict[str, Any]:
    """Return what partners may know of a link beside its UUID and time."""
    found: dict[str, Any] = {}
    if link.product is not None:
        found["product"] = link.product.id
        found["revision"] = link.product.revision
    if link.file is not None:
        found["sha256"] = link.file.sha256
        found["protocol"] = link.file.protocol
        found["edition"] = link.file.edition
        found["originatingSystem"] = link.file.originating_system
        found["writtenAt"] = link.file.written_at
    return found


def resolve(connection: Connection, uuid: str) -> Sequence[RecordReference]:
    """Return the parts that the UUID of a CAD revision, or of anything in a linked file, leads to."""
    if not SCHEMA.rights(connection, "SELECT"):
        return ()
    parameters = {"uuid": uuid, "limit": _ENTRIES}
    kinds: dict[str, str] = {}
    for part, _ in connection.execute(_REVISIONS, parameters):
        kinds[part] = "cad-revision"
    for part, kind in connection.execute(_ITEMS, parameters):
        kinds.setdefault(part, _KINDS.get(kind, "cad-item"))
    return [RecordReference(ENTITY, part, kind) for part, kind in sorted(kinds.items())]


def checks(entity: Entity) -> Sequence[VerificationCheck]:
    """Return what `dotpeen migrate verify` asks of parts."""
    if entity.name != ENTITY:
        return ()
    return (
        VerificationCheck(
            f"{REFERENCE} has its history", lambda connection: without_history(connection, entity)
        ),
        VerificationCheck("linked parts are there", lambda connection: without_part(connection, entity)),
    )
