"""Links in the database: which revisions of its CAD model a part has, which is current, which there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dotpeen.database import Connection
from dotpeen_step.linking.files import text
from dotpeen_step.linking.naming import product_called

if TYPE_CHECKING:
    from dotpeen_step.inspection.uuids import Uuids

MatchedBy: TypeAlias = Literal["persistent-uuid", "linked-uuid", "part-number", "said"]
"""What told which part it is; `said`: who linked it did."""
_DIGITS: Final = 12
"""Of a SHA-256 that people are shown."""

_COLUMNS: Final = (
    "SELECT l.id, l.part::text, l.revision_uuid::text, l.matched_by, l.linked_at, l.linked_by, l.current_at,"
    " l.unlinked_at, l.unlinked_by, l.product, l.product_id, l.product_name, l.product_revision, f.id,"
    " pg_catalog.encode(f.sha256, 'hex'), f.name, f.size, f.protocol, f.edition, f.originating_system, f.written_at"
    " FROM dotpeen_step.link AS l LEFT JOIN dotpeen_step.file AS f ON f.id = l.file"
)
_CURRENT: Final = (
    " WHERE l.part = %s::uuid AND l.unlinked_at IS NULL AND l.revision_uuid IS NOT NULL"
    " ORDER BY l.current_at DESC NULLS LAST, l.id DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class LinkedProduct:
    """What a link knows of the product in its file."""

    ref: int
    """Instance name of the PRODUCT."""
    id: str
    name: str
    revision: str

    def __str__(self) -> str:
        return product_called(self.id, self.name, self.revision)


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """What a link knows of its file."""

    id: int
    """In the plugin's own table: for nobody outside."""
    sha256: str
    name: str
    size: int
    protocol: str | None
    edition: int | None
    originating_system: str
    written_at: str


@dataclass(frozen=True, slots=True)
class Link:
    """One revision of a CAD model that is, or was, linked to a part."""

    id: int
    part: str
    """The persistent UUID."""
    revision_uuid: str | None
    """None where the file gives the revision none."""
    matched_by: MatchedBy
    linked_at: datetime
    linked_by: str
    current_at: datetime | None
    """When it became the current revision; None for one that was older when it came."""
    unlinked_at: datetime | None
    unlinked_by: str | None
    product: LinkedProduct | None
    file: LinkedFile | None
    """None for a link that was made by UUID alone."""

    @property
    def identifier(self) -> str:
        """What it can be unlinked by: the UUID, or where it has none the beginning of the file's SHA-256."""
        if self.revision_uuid is not None or self.file is None:
            return self.revision_uuid or ""
        return f"SHA-256 {self.file.sha256[:_DIGITS]}"


def links_of(
    connection: Connection,
    part: str | None,
    *,
    limit: int | None = None,
    before: datetime | None = None,
    offset: int = 0,
    unlinked: bool = False,
) -> Sequence[Link]:
    """Return the links of a part, or of all parts, the latest first; `before`: those made before this moment."""
    rows = connection.execute(
        (
            _COLUMNS + " WHERE (%(part)s::uuid IS NULL OR l.part = %(part)s::uuid)"
            " AND (%(before)s::timestamptz IS NULL OR l.linked_at < %(before)s::timestamptz)"
            " AND (%(unlinked)s OR l.unlinked_at IS NULL)"
            " ORDER BY l.linked_at DESC, l.id DESC LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint"
        ).encode(),
        {"part": part, "before": before, "unlinked": unlinked, "limit": limit, "offset": offset},
    )
    return [_link(row) for row in rows]


def count_of(connection: Connection, part: str) -> int:
    """Return how many links a part has."""
    row = connection.execute(
        "SELECT count(*) FROM dotpeen_step.link WHERE part = %s::uuid AND unlinked_at IS NULL", [part]
    ).fetchone()
    return 0 if row is None else int(row[0])


def link_of(connection: Connection, part: str, *, file: int | None, uuid: str | None) -> Link | None:
    """Return a part's link to a file, or, without a file, the one that was made by this UUID alone."""
    if file is not None:
        condition, value = "l.file = %s", file
    else:
        condition, value = "l.file IS NULL AND l.revision_uuid = %s::uuid", uuid  # type: ignore[assignment]
    query = f"{_COLUMNS} WHERE l.part = %s::uuid AND l.unlinked_at IS NULL AND {condition}"
    row = connection.execute(query.encode(), [part, value]).fetchone()
    return None if row is None else _link(row)


def current_of(connection: Connection, part: str) -> Link | None:
    """Return the current revision of a part."""
    row = connection.execute((_COLUMNS + _CURRENT).encode(), [part]).fetchone()
    return None if row is None else _link(row)


def current_ids(connection: Connection, parts: Iterable[str]) -> frozenset[int]:
    """Return the ids of the links that are the current ones of some parts."""
    rows = connection.execute(
        "SELECT DISTINCT ON (part) id FROM dotpeen_step.link"
        " WHERE part = ANY(%s::uuid[]) AND unlinked_at IS NULL AND revision_uuid IS NOT NULL"
        " ORDER BY part, current_at DESC NULLS LAST, id DESC",
        [list(parts)],
    )
    return frozenset(row[0] for row in rows)


def other_part(connection: Connection, revision_uuid: str, part: str) -> str | None:
    """Return the UUID of another part that a revision is linked to."""
    row = connection.execute(
        "SELECT part::text FROM dotpeen_step.link"
        " WHERE revision_uuid = %s::uuid AND part <> %s::uuid AND unlinked_at IS NULL LIMIT 1",
        [revision_uuid, part],
    ).fetchone()
    return None if row is None else str(row[0])


def parts_of(connection: Connection, file: int) -> frozenset[str]:
    """Return the parts that a file is linked to."""
    rows = connection.execute(
        "SELECT part::text FROM dotpeen_step.link WHERE file = %s AND unlinked_at IS NULL", [file]
    )
    return frozenset(row[0] for row in rows)


def history_of_file(connection: Connection, file: int) -> Sequence[Link]:
    """Return the links that a file has and had, the latest of a part before its older ones."""
    query = f"{_COLUMNS} WHERE l.file = %s ORDER BY l.linked_at DESC, l.id DESC"
    return [_link(row) for row in connection.execute(query.encode(), [file])]


def parts_with(connection: Connection, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Return the parts that revisions with these UUIDs are linked to."""
    rows = connection.execute(
        "SELECT DISTINCT revision_uuid::text, part::text FROM dotpeen_step.link"
        " WHERE revision_uuid = ANY(%s::uuid[]) AND unlinked_at IS NULL ORDER BY 1, 2",
        [list(uuids)],
    )
    found: dict[str, list[str]] = {}
    for uuid, part in rows:
        found.setdefault(uuid, []).append(part)
    return found


def shared_items(connection: Connection, part: str, uuids: Uuids) -> Mapping[int, int]:
    """Return by PRODUCT how many of its UUIDs stand in files that a part is linked to, too."""
    rows = connection.execute(
        "SELECT DISTINCT i.uuid FROM dotpeen_step.item AS i JOIN dotpeen_step.link AS l ON l.file = i.file"
        " WHERE l.part = %s::uuid AND l.unlinked_at IS NULL AND (i.product = l.product OR i.product IS NULL)",
        [part],
    )
    known = {row[0].bytes for row in rows}
    found: Counter[int] = Counter()
    for number in range(len(uuids)):
        if uuids.bytes_of(number) in known:
            found[uuids.product_of(number)] += 1
    return found


def add_link(
    connection: Connection,
    *,
    part: str,
    file: int | None,
    revision_uuid: str | None,
    product: LinkedProduct | None,
    matched_by: MatchedBy,
    by: str,
    current: bool,
) -> Link:
    """Write a link down, in the caller's transaction."""
    connection.execute(
        "INSERT INTO dotpeen_step.link (part, file, revision_uuid, product, product_id, product_name,"
        " product_revision, matched_by, linked_by, current_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s,"
        " CASE WHEN %s THEN pg_catalog.clock_timestamp() END)",
        [
            part,
            file,
            revision_uuid,
            *(
                (product.ref, text(product.id), text(product.name), text(product.revision))
                if product
                else (None,) * 4
            ),
            matched_by,
            by,
            current,
        ],
    )
    made = link_of(connection, part, file=file, uuid=revision_uuid)
    assert made is not None  # noqa: S101 - it was just written
    return made


def end_links(connection: Connection, links: Sequence[Link], *, by: str) -> Sequence[Link]:
    """Unlink: the rows stay, with when and by whom. Return the links as they are now."""
    rows = connection.execute(
        "UPDATE dotpeen_step.link SET unlinked_at = pg_catalog.clock_timestamp(), unlinked_by = %s"
        " WHERE id = ANY(%s) AND unlinked_at IS NULL RETURNING id, unlinked_at, unlinked_by",
        [by, [one.id for one in links]],
    )
    ended = {number: (at, who) for number, at, who in rows}
    return [
        replace(one, unlinked_at=ended[one.id][0], unlinked_by=ended[one.id][1])
        for one in links
        if one.id in ended
    ]


def _link(row: Sequence[Any]) -> Link:
    (ref, *said), file = row[9:13], row[13:]
    product = None if ref is None else LinkedProduct(ref, *(one or "" for one in said))
    values = (*row[:9], product, None if file[0] is None else LinkedFile(*file))
    return Link(*values)
