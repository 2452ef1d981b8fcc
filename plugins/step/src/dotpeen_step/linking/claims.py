"""The UUID of a revision is one part's alone: it is claimed for it, or what has it already is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dotpeen import Record, Records
from dotpeen.database import Connection
from dotpeen.errors import AmbiguousIdentifierError, RecordNotFoundError
from dotpeen_step.linking import links
from dotpeen_step.linking.parts import ENTITY, Part, RevisionTakenError, number_of, parts_by_uuid

_LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%s, 242))"


def lock_uuids(connection: Connection, uuids: Iterable[str]) -> None:
    """Wait until nobody else claims one of these UUIDs, in an order that is the same for everybody."""
    for uuid in sorted(uuids):
        connection.execute(_LOCK, [uuid])


def claim(records: Records, connection: Connection, part: Part, uuid: str, column: str | None) -> None:
    """See to it that a revision's UUID is this part's alone, whoever links at the same time.

    Raises `RevisionTakenError`, which names the other part or record by its number where it has one: for people of
    the site, not for partners.
    """
    lock_uuids(connection, [uuid])
    other = links.other_part(connection, uuid, part.uuid)
    if other is not None:
        known = parts_by_uuid(records, [other], column).get(other)
        number = known.number if known is not None else None
        raise RevisionTakenError(
            f"{uuid} is linked to another {ENTITY}: {_named(other, number)}",
            hint="unlink it there first, if it is this part's:"
            f" dotpeen step unlink {number or other} --uuid {uuid}",
        )
    _require_free(records, part, uuid, column)


def _require_free(records: Records, part: Part, uuid: str, column: str | None) -> None:
    if uuid == part.uuid:
        return
    try:
        found = records.resolve(uuid)
    except RecordNotFoundError:
        return
    except AmbiguousIdentifierError as error:
        raise RevisionTakenError(f"{uuid} is no revision's of {part}: {error.message}") from None
    number = number_of(found.record, column) if found.entity == ENTITY else None
    raise RevisionTakenError(
        f"{uuid} is no revision's of {part}: it is the UUID of a record,"
        f" {found.entity} {_named(_identified(found.record), number)}"
    )


def _named(identifier: str, number: str | None) -> str:
    return identifier if number is None else f"{number} ({identifier})"


def _identified(record: Record) -> str:
    return record.key if record.uuid is None else str(record.uuid)
