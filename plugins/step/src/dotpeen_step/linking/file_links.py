"""The links of one file: which of its products are linked to which parts, and which were before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dotpeen import Transaction
from dotpeen_step.linking import links
from dotpeen_step.linking.candidates import Candidate
from dotpeen_step.linking.files import known_file, text
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.links import Link
from dotpeen_step.linking.parts import Part, parts_by_uuid


@dataclass(frozen=True, slots=True)
class FileLinks:
    """What links of a file there are and were, by the UUID of the part."""

    linked: Mapping[str, Link] = field(default_factory=dict)
    """Of parts that are there; a part is linked to one product of a file."""
    unlinked: Mapping[str, Link] = field(default_factory=dict)
    """The last link of each part that has none now."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Those of `linked`."""

    def of(self, candidate: Candidate, preferred: Collection[str]) -> Link | None:
        """Return the link of a product, that of a preferred part where several parts are linked to it."""
        found = [link for link in self.linked.values() if _is_of(link, candidate)]
        return next((link for link in found if link.part in preferred), found[0] if found else None)


def links_of_file(within: Transaction, sha256: str, column: str | None) -> FileLinks:
    """Return the links of the file with this content."""
    connection = within.connection
    if not SCHEMA.installed(connection):
        return FileLinks()
    file = known_file(connection, bytes.fromhex(sha256))
    if file is None:
        return FileLinks()
    linked: dict[str, Link] = {}
    ended: dict[str, Link] = {}
    for link in links.history_of_file(connection, file):
        (linked if link.unlinked_at is None else ended).setdefault(link.part, link)
    parts = parts_by_uuid(within, linked, column)
    return FileLinks(
        {part: link for part, link in linked.items() if part in parts},
        {part: link for part, link in ended.items() if part not in linked},
        parts,
    )


def _is_of(link: Link, candidate: Candidate) -> bool:
    product = link.product
    return (
        product is not None
        and product.ref == candidate.product.product_ref
        # A product may have several revisions in one file. The link has its text as the database keeps it.
        and product.revision == text(candidate.product.revision)
        and (link.revision_uuid is None or link.revision_uuid in candidate.known_by)
    )
