"""Linked files in the database: what is known of each, and every UUID in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from dotpeen.database import Connection

Item: TypeAlias = tuple[UUID, int | None, int | None, str, str, str, str]
"""UUID, PRODUCT, target, carrier, kind, keyword, name; products and targets by instance name."""

_COPY: Final = (
    "COPY dotpeen_step.item (uuid, product, target, carrier, kind, keyword, name, file)"
    " FROM STDIN (FORMAT binary)"
)
_TYPES: Final = ("uuid", "int8", "int8", "text", "text", "text", "text", "int8")
NAME_LENGTH: Final = 200
"""Characters of an item's name and keyword that are kept: they are for people."""

_LENGTH: Final = 500
"""Characters of any other text that are kept."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says of itself, and what it is known by."""

    sha256: bytes
    name: str
    """Without its folder."""
    size: int
    protocol: str | None
    edition: int | None
    schemas: tuple[str, ...]
    originating_system: str
    written_at: str
    """The time stamp of its header, word for word."""


def known_file(connection: Connection, sha256: bytes) -> int | None:
    """Return the id of the file with this content; None for one that was never linked."""
    row = connection.execute("SELECT id FROM dotpeen_step.file WHERE sha256 = %s", [sha256]).fetchone()
    return None if row is None else int(row[0])


def keep_file(connection: Connection, facts: FileFacts, items: Iterable[Item]) -> int:
    """Write down a file and its UUIDs, in the caller's transaction; return its id.

    Nobody else links or unlinks the file until the transaction ends. `items` are read where none are kept, and written
    as they are read.
    """
    connection.execute(
        "INSERT INTO dotpeen_step.file (sha256, name, size, protocol, edition, schemas, originating_system, written_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (sha256) DO NOTHING",
        [
            facts.sha256,
            text(facts.name),
            facts.size,
            facts.protocol,
            facts.edition,
            [text(one) for one in facts.schemas],
            text(facts.originating_system),
            text(facts.written_at),
        ],
    )
    row = connection.execute(
        "SELECT id, items FROM dotpeen_step.file WHERE sha256 = %s FOR UPDATE", [facts.sha256]
    ).fetchone()
    assert row is not None  # noqa: S101 - it is there by now, and nobody deletes files
    file, kept = row
    if kept is None:
        count = _copy(connection, file, items)
        connection.execute("UPDATE dotpeen_step.file SET items = %s WHERE id = %s", [count, file])
    return int(file)


def forget_items(connection: Connection, file: int) -> None:
    """Take the UUIDs of a file out where no part is linked to it any more, in the caller's transaction."""
    connection.execute("SELECT FROM dotpeen_step.file WHERE id = %s FOR UPDATE", [file])
    row = connection.execute(
        "SELECT FROM dotpeen_step.link WHERE file = %s AND unlinked_at IS NULL LIMIT 1", [file]
    ).fetchone()
    if row is None:
        connection.execute("DELETE FROM dotpeen_step.item WHERE file = %s", [file])
        connection.execute("UPDATE dotpeen_step.file SET items = NULL WHERE id = %s", [file])


def text(value: str) -> str:
    """Return a text as it is kept: not too long, without NUL and halves of surrogate pairs, which no column holds."""
    return value[:_LENGTH].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _copy(connection: Connection, file: int, items: Iterable[Item]) -> int:
    count = 0
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for uuid, product, target, carrier, kind, keyword, name in items:
            # A complex instance's keyword is as long as whoever wrote the file likes.
            shown = text(keyword[:NAME_LENGTH]), text(name[:NAME_LENGTH])
            copy.write_row((uuid, product, target, carrier, kind, *shown, file))
            count += 1
    return count
