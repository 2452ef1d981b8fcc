"""Unlink: what was linked by mistake, or is no revision any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dotpeen import Records
from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen_step.linking import links
from dotpeen_step.linking.files import forget_items
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.links import Link
from dotpeen_step.linking.parts import Part, find_part, lock_part, set_reference

_NAMED: Final = 10
"""Links that a message names."""


@dataclass(frozen=True, slots=True)
class Unlinked:
    """What was unlinked, and what is current now."""

    part: Part
    links: tuple[Link, ...]
    current: Link | None


def unlink(
    records: Records,
    identifier: str,
    *,
    column: str | None,
    by: str,
    uuid: str | None = None,
    sha256: str | None = None,
    every: bool = False,
    agreed: Sequence[Link] | None = None,
) -> Unlinked:
    """Take links of a part away: those of a revision's UUID, of a file, the only one there is, or all of them.

    The revision that was current before is current again, and the part's external reference with it, unless somebody
    has set that to something else. What was unlinked stays in the history. `agreed` are the links that `to_unlink`
    named, where somebody was asked. Raises `DotpeenError` where there is no such link, several and nothing says which,
    or others than were agreed on.
    """
    part = find_part(records, identifier, column)
    with records.transaction() as within:
        connection = within.connection
        part = lock_part(within, part, column)
        there = links.links_of(connection, part.uuid) if SCHEMA.installed(connection) else ()
        ended = _chosen(part, there, uuid=uuid, sha256=sha256, every=every)
        if agreed is not None and {one.id for one in ended} != {one.id for one in agreed}:
            raise DotpeenError(
                f"the links of {part} have changed meanwhile: nothing was unlinked", hint="try again"
            )
        SCHEMA.install(connection)
        was = links.current_of(connection, part.uuid)
        ended = links.end_links(connection, ended, by=by)
        for file in sorted({one.file.id for one in ended if one.file is not None}):
            forget_items(connection, file)
        now = links.current_of(connection, part.uuid)
        if was is not None and part.reference == was.revision_uuid:
            value = None if now is None else now.revision_uuid
            if value != part.reference:
                set_reference(within, part, value)
        return Unlinked(part, tuple(ended), now)


def to_unlink(
    records: Records,
    identifier: str,
    *,
    column: str | None,
    uuid: str | None = None,
    sha256: str | None = None,
    every: bool = False,
) -> tuple[Part, Sequence[Link]]:
    """Return the part, and the links of it that `unlink` would take away. Raises what that does."""
    part = find_part(records, identifier, column)
    with records.transaction() as within:
        connection = within.connection
        there = links.links_of(connection, part.uuid) if SCHEMA.installed(connection) else ()
        return part, _chosen(part, there, uuid=uuid, sha256=sha256, every=every)


def _chosen(
    part: Part, there: Sequence[Link], *, uuid: str | None, sha256: str | None, every: bool
) -> Sequence[Link]:
    if not there:
        raise DotpeenError(f"{part} has no link to unlink")
    fitting = [
        one
        for one in there
        if (uuid is None or one.revision_uuid == uuid)
        and (sha256 is None or (one.file is not None and one.file.sha256.startswith(sha256)))
    ]
    if not fitting:
        raise DotpeenError(f"{part} has no such link", hint="dotpeen step links shows what there is")
    files = {one.file.sha256 for one in fitting if one.file is not None}
    if sha256 is not None and len(files) > 1:
        raise ConfigurationError(f"{sha256!r} begins the SHA-256 of {len(files)} files: give more of it")
    if uuid is None and sha256 is None and not every and len(fitting) > 1:
        named = ", ".join(map(_named, fitting[:_NAMED]))
        more = f", and {len(fitting) - _NAMED:,} more" if len(fitting) > _NAMED else ""
        raise ConfigurationError(
            f"{part} has {len(fitting)} links: {named}{more}", hint="say which: --uuid, --sha256, or --all"
        )
    return fitting


def _named(one: Link) -> str:
    return one.identifier if one.file is None else f"{one.identifier} ({one.file.name})"
