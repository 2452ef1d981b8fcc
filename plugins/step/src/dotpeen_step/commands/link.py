"""`dotpeen step link`, `unlink` and `links`: which CAD revisions a part has."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.errors import ConfigurationError
from dotpeen.identifiers import read_uuid
from dotpeen_step.commands.order import hinting
from dotpeen_step.commands.records import records_of
from dotpeen_step.plugin import settings

if TYPE_CHECKING:
    from dotpeen import Records
    from dotpeen_step.linking.link import Choice, Linked
    from dotpeen_step.linking.links import Link

_SHOWN: Final = 100
"""Links that people are shown; `--json` has all."""
_NAMED: Final = 5
"""Links that the question before unlinking names."""
_ORDER: Final = "PART comes first: dotpeen step link PN-1001 plate.stp"
_DIGITS: Final = frozenset("0123456789abcdef")

PartArgument = Annotated[
    str | None,
    typer.Argument(metavar="PART", help="Any identifier of the part: number, UUID, key.", show_default=False),
]
FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A STEP file with the part in it.", show_default=False),
]
ProductOption = Annotated[
    str | None,
    typer.Option(
        "--product",
        metavar="PRODUCT",
        help="Which product of the file it is: its id, name, UUID, or #12 for the instance.",
    ),
]
UuidOption = Annotated[
    str | None,
    typer.Option(
        "--uuid", metavar="UUID", help="The revision's UUID. With a file: which one of the product's."
    ),
]
ScanOption = Annotated[
    Path | None,
    typer.Option("--scan", metavar="DIR", help="Propose links for every STEP file below a folder."),
]
ApplyOption = Annotated[bool, typer.Option("--apply", help="With --scan: link what is certain.")]
RemovedUuid = Annotated[
    str | None, typer.Option("--uuid", metavar="UUID", help="The links of this revision's UUID.")
]
RemovedFile = Annotated[
    str | None,
    typer.Option(
        "--sha256", metavar="DIGITS", help="The link to this file, by the beginning of its SHA-256."
    ),
]
EveryOption = Annotated[bool, typer.Option("--all", help="All links of the part.")]
HistoryOption = Annotated[bool, typer.Option("--history", help="Also what was unlinked.")]


def link(
    context: typer.Context,
    part: PartArgument = None,
    file: FileArgument = None,
    *,
    product: ProductOption = None,
    uuid: UuidOption = None,
    scan: ScanOption = None,
    apply: ApplyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Link a part to a revision of its CAD model: to a STEP file, or to the UUID alone.

    The product in the file is found by the part's UUID, by a UUID that is linked to the part, or by the part number;
    where that is not certain, the products are named and nothing is written. The UUID of the revision becomes the
    part's stepAp242Uuid; what was linked before stays in its history. With --scan, ends with 1 where something is
    ambiguous or can't be read.

    Examples: `dotpeen step link PN-1001 plate.stp`, `dotpeen step link --scan /srv/cad --apply`,
    `dotpeen step link PN-1001 --uuid 0b8c0f3e-6d1c-4e55-9d5a-5a1f2f0a9c11`
    """
    shared = current(context)
    if scan is not None:
        if part is not None or product is not None or uuid is not None:
            raise ConfigurationError("--scan finds parts and files by itself: name the folder alone")
        from dotpeen_step.commands.scan import scan_folder

        with records_of(shared) as records:
            scan_folder(shared, records, scan, apply=apply, by=who(), as_json=as_json)
        return
    if apply:
        raise ConfigurationError("--apply goes with --scan")
    if part is None or (file is None and uuid is None):
        raise ConfigurationError(
            "name the part and its file: dotpeen step link PART FILE, or PART --uuid UUID"
        )
    if file is None and product is not None:
        raise ConfigurationError("--product names one of a file's: name the file, too")
    revision = None if uuid is None else str(read_uuid(uuid))
    from dotpeen_step.commands.link_output import linked_json, print_linked
    from dotpeen_step.linking.link import Choice, link_uuid
    from dotpeen_step.linking.parts import number_column

    column = number_column(shared.registry, settings(shared.registry))
    with records_of(shared) as records:
        if file is None:
            assert revision is not None  # noqa: S101 - checked above
            made = link_uuid(records, part, revision, column=column, by=who())
        else:
            made = _link_file(shared, records, part, file, Choice(product, revision), column)
    if as_json:
        shared.print_json(linked_json(made))
    else:
        print_linked(shared, made)


def _link_file(
    shared: Context, records: Records, part: str, file: Path, choice: Choice, column: str | None
) -> Linked:
    from dotpeen_step.commands.progress import reading
    from dotpeen_step.inspection import inspect
    from dotpeen_step.linking.link import link_file, linked_before
    from dotpeen_step.linking.parts import find_part

    with hinting(file, [part], _ORDER):
        find_part(records, part, column)  # before a large file is read
    digest = _digest(file)
    before = None if digest is None else linked_before(records, part, digest, column=column, choice=choice)
    if before is not None:
        return before
    with reading(shared, file) as progress:
        inspection = inspect(file, progress=progress)
    return link_file(records, inspection, part, column=column, by=who(), choice=choice)


def _digest(file: Path) -> str | None:
    """Return the SHA-256 of a file; None for what is none or can't be read: reading it says what is wrong."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
    return None


def unlink(
    context: typer.Context,
    part: Annotated[str, typer.Argument(metavar="PART", help="Any identifier of the part.")],
    *,
    uuid: RemovedUuid = None,
    sha256: RemovedFile = None,
    every: EveryOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take links of a part away. The revision before is current again; the history keeps what was unlinked.

    Example: `dotpeen step unlink PN-1001 --uuid 0b8c0f3e-6d1c-4e55-9d5a-5a1f2f0a9c11`
    """
    from dotpeen_step.commands.link_output import print_unlinked, unlinked_json
    from dotpeen_step.linking.parts import number_column
    from dotpeen_step.linking.unlink import to_unlink
    from dotpeen_step.linking.unlink import unlink as take_away

    shared = current(context)
    revision = None if uuid is None else str(read_uuid(uuid))
    digest = None if sha256 is None else sha256.lower()
    if digest is not None and (not digest or set(digest) - _DIGITS):
        raise ConfigurationError(f"--sha256 {sha256!r}: not hexadecimal digits")
    column = number_column(shared.registry, settings(shared.registry))
    with records_of(shared) as records:
        found, there = to_unlink(records, part, column=column, uuid=revision, sha256=digest, every=every)
        count = f"{len(there):,} link{'' if len(there) == 1 else 's'}"
        shared.confirm(f"Take {count} of {found} away ({_named(there)})?", yes=yes)
        done = take_away(
            records,
            found.uuid,
            column=column,
            by=who(),
            uuid=revision,
            sha256=digest,
            every=every,
            agreed=there,
        )
    if as_json:
        shared.print_json(unlinked_json(done))
    else:
        print_unlinked(shared, done)


def _named(there: Sequence[Link]) -> str:
    names = [one.file.name if one.file is not None else f"UUID {one.revision_uuid}" for one in there[:_NAMED]]
    return ", ".join([*names, "…"] if len(there) > _NAMED else names)


def links(
    context: typer.Context,
    part: PartArgument = None,
    *,
    history: HistoryOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the CAD revisions of a part, or of all parts, the latest first.

    Example: `dotpeen step links PN-1001 --history`
    """
    from dotpeen_step.commands.link_output import links_json, print_links
    from dotpeen_step.linking import links as store
    from dotpeen_step.linking.installation import SCHEMA
    from dotpeen_step.linking.parts import find_part, number_column, parts_by_uuid

    shared = current(context)
    column = number_column(shared.registry, settings(shared.registry))
    limit = None if as_json else _SHOWN + 1
    with records_of(shared) as records:
        wanted = None if part is None else find_part(records, part, column).uuid
        with records.transaction() as within:
            connection = within.connection
            there = SCHEMA.installed(connection)
            found = store.links_of(connection, wanted, limit=limit, unlinked=history) if there else ()
            now = store.current_ids(connection, {one.part for one in found}) if there else frozenset()
            parts = {} if as_json else parts_by_uuid(within, [one.part for one in found], column)
    if as_json:
        shared.print_json(links_json(found, now))
    else:
        print_links(shared, found[:_SHOWN], now, parts, more=len(found) > _SHOWN)


def who() -> str:
    """Return who is at the command line, as the history keeps it."""
    try:
        return f"user {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user need not have a name
        return "user unknown"
