"""`dotpeen step stamp`: put the persistent UUIDs of parts into a STEP file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.filesize import decimal

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.errors import ConfigurationError, NotMigratedError, RecordNotFoundError
from dotpeen_step.commands.order import hinting
from dotpeen_step.commands.records import records_of
from dotpeen_step.inspection.printing import plain
from dotpeen_step.linking.parts import ENTITY, find_record, number_column, number_of
from dotpeen_step.plugin import settings

if TYPE_CHECKING:
    from dotpeen import Record, Records
    from dotpeen_step.inspection.carriers import Carrier
    from dotpeen_step.stamping import Wanted
    from dotpeen_step.stamping.plan import Stamp, StampPlan
    from dotpeen_step.stamping.stamp import Stamped

_ORDER: Final = "FILE comes first, then its parts: dotpeen step stamp plate.stp PN-1001"
_LINE: Final = 500
"""Characters of a line, which names what stands in the file."""
_STANDARD_OUTPUT: Final = Path("-")
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A STEP file.")]
PartsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PART...",
        help="Any identifier of a part. PART=ID or PART=#12 says which product it is: by PRODUCT.id, or by the "
        "instance name of the PRODUCT or its PRODUCT_DEFINITION.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The stamped file, or a folder for it."),
]
InPlaceOption = Annotated[bool, typer.Option("--in-place", help="Put the stamped file in FILE's place.")]
AnchorOption = Annotated[
    bool,
    typer.Option(
        "--anchor",
        help="In the ANCHOR section (ISO 10303-21 edition 3): right with any schema, but some systems can't read it.",
    ),
]
AttributeOption = Annotated[
    bool,
    typer.Option(
        "--uuid-attribute",
        help="As V4_UUID_ATTRIBUTE or V5_UUID_ATTRIBUTE of the shape: where the file declares AP242 edition 4, and the "
        "shape has none.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")]


def stamp_file(
    context: typer.Context,
    file: FileArgument,
    parts: PartsArgument,
    *,
    output: OutputOption = None,
    in_place: InPlaceOption = False,
    anchor: AnchorOption = False,
    uuid_attribute: AttributeOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the persistent UUIDs of parts into a STEP file; every other byte stays as it is.

    By default the UUID becomes a user-defined attribute of the part's PRODUCT_DEFINITION, which other systems show and
    keep. A part's product is the one that carries its UUID already, or the only one whose id is the part number; where
    that isn't certain, nothing is written. A file that has the UUIDs already stays as it is. The new file is there
    once it is complete, never in part.

    Examples: `dotpeen step stamp plate.stp PN-1001 -o stamped.stp`,
    `dotpeen step stamp robot.stp PN-7=ARM PN-8=#512 --in-place`
    """
    shared = current(context)
    target = _target(file, output, in_place=in_place, dry_run=dry_run)
    carrier = _carrier(anchor=anchor, uuid_attribute=uuid_attribute)
    with records_of(shared) as records, hinting(file, parts, _ORDER):
        column = number_column(shared.registry, settings(shared.registry))
        wanted = _all_wanted(records, parts, column)
    locked = target is not None and _is_locked(target)
    if target is not None and not in_place and not locked and target.is_file():
        shared.confirm(f"{target} is there already. Overwrite it?", yes=yes)
    done = _stamp(file, wanted, target, carrier, locked=locked)
    if as_json:
        shared.print_json(_document(file, target, done, dry_run=dry_run))
        return
    for line in _lines(done.plan, dry_run=dry_run):
        shared.out.print(plain(line, _LINE), markup=False, highlight=False, soft_wrap=True)
    _close(shared, target, done, dry_run=dry_run)


def _stamp(
    file: Path, wanted: Sequence[Wanted], target: Path | None, carrier: Carrier, *, locked: bool
) -> Stamped:
    from dotpeen_step.stamping import stamp

    if target is None or not locked:
        return stamp(file, wanted, target, carrier=carrier)
    done = stamp(file, wanted, None, carrier=carrier)
    # What has the UUIDs already stays as it is in its own place: nothing would be written.
    if done.plan.edits or not (file.exists() and target.samefile(file)):
        raise ConfigurationError(
            f"{target} is write-protected: it was left as it is",
            hint="check it out or make it writable first, or name another file with -o",
        )
    return done


def _is_locked(target: Path) -> bool:
    """Tell whether a file is not to be written to, as a vault's are that nobody has checked out.

    A new file takes the place of the old one, which needs no right to that, and root needs none at all: so the mode
    is asked, too.
    """
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and not (mode & _WRITABLE and os.access(target, os.W_OK))


def _target(file: Path, output: Path | None, *, in_place: bool, dry_run: bool) -> Path | None:
    if in_place and output is not None:
        raise ConfigurationError("--in-place and -o say two different things", hint="leave one out")
    if dry_run:
        return None
    if in_place:
        return file
    if output is None:
        raise ConfigurationError(
            "where is the stamped file to go?", hint="name a file with -o, or give --in-place"
        )
    if output == _STANDARD_OUTPUT:
        raise ConfigurationError(
            "-o -: the stamped file is not written to standard output", hint="name a file with -o"
        )
    target = output / file.name if output.is_dir() else output
    if not target.parent.is_dir():
        raise ConfigurationError(f"{target} can't be written: there is no folder {target.parent}")
    return target


def _carrier(*, anchor: bool, uuid_attribute: bool) -> Carrier:
    from dotpeen_step.inspection.carriers import Carrier

    if anchor and uuid_attribute:
        raise ConfigurationError(
            "--anchor and --uuid-attribute say two different things", hint="leave one out"
        )
    if anchor:
        return Carrier.ANCHOR
    return Carrier.UUID_ATTRIBUTE if uuid_attribute else Carrier.USER_DEFINED


def _all_wanted(records: Records, parts: Sequence[str], column: str | None) -> list[Wanted]:
    wanted = [_wanted(records, part, column) for part in parts]
    named: dict[str, str] = {}
    for text, one in zip(parts, wanted, strict=True):
        before = named.get(one.uuid)
        if before is not None:
            also = "" if before == text else f", as {before} and as {text}"
            raise ConfigurationError(
                f"{ENTITY} {one.number or one.uuid} is named twice{also}", hint="name it once"
            )
        named[one.uuid] = text
    return wanted


def _wanted(records: Records, text: str, column: str | None) -> Wanted:
    """Read PART, PART=ID or PART=#12."""
    from dotpeen_step.stamping import Wanted

    part, choice, found = _split(records, text)
    if found.uuid is None:
        raise NotMigratedError(ENTITY, f"run `dotpeen migrate up --entity {ENTITY}` first")
    return Wanted(
        part=part,
        uuid=str(found.uuid),
        number=number_of(found, column),
        choice=choice,
    )


def _split(records: Records, text: str) -> tuple[str, str | None, Record]:
    """Return the part, what was said of its product, and the record; both may have equals signs in them."""
    places = [place for place, character in enumerate(text) if character == "="]
    for end in (len(text), *reversed(places)):
        try:
            return text[:end], text[end + 1 :] if end < len(text) else None, find_record(records, text[:end])
        except RecordNotFoundError:
            continue
    raise RecordNotFoundError(ENTITY, text.partition("=")[0])


def _lines(plan: StampPlan, *, dry_run: bool) -> Iterator[str]:
    for one in plan.stamps:
        outcome = "would be stamped" if dry_run and one.outcome == "stamped" else one.outcome
        where = f"{one.match.product.said}, {_NAMES[plan.carrier.value]} on #{one.target}"
        yield f"{one.match.wanted.part}: {outcome}: {one.match.wanted.uuid} on {where} ({_BY[one.match.by]})"
    if plan.raised is not None:
        yield f"implementation level {plan.raised.old!r} {'would become' if dry_run else 'becomes'} {plan.raised.new!r}"


_NAMES = {"user-defined": "user-defined attribute", "anchor": "anchor", "uuid-attribute": "UUID attribute"}
_BY = {"uuid": "it carries the UUID", "number": "its id is the part number", "choice": "as chosen"}


def _close(shared: Context, target: Path | None, done: Stamped, *, dry_run: bool) -> None:
    if dry_run:
        said = "Dry run: nothing was written."
    elif done.size is None:
        said = f"{target}: unchanged, nothing was written."
    else:
        copied = "" if done.plan.edits else "unchanged, a copy; "
        said = f"Wrote {target} ({copied}{decimal(done.size)})"
    shared.err.print(said, markup=False, highlight=False, soft_wrap=True)
    if done.plan.carrier.value == "anchor" and done.plan.edits:
        shared.err.print(
            "Some systems can't read an ANCHOR section: docs/step.md says which.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _document(file: Path, target: Path | None, done: Stamped, *, dry_run: bool) -> dict[str, Any]:
    plan = done.plan
    return {
        "file": str(file),
        "output": None if target is None else str(target),
        "carrier": plan.carrier.value,
        "dryRun": dry_run,
        "changed": bool(plan.edits),
        "bytes": done.size,
        "implementationLevel": None
        if plan.raised is None
        else {"old": plan.raised.old, "new": plan.raised.new},
        "parts": _parts(plan.stamps),
        "edits": [
            {"byte": edit.offset, "removed": edit.end - edit.offset, "text": edit.text.decode("ascii")}
            for edit in plan.edits
        ],
    }


def _parts(stamps: Sequence[Stamp]) -> list[dict[str, Any]]:
    return [
        {
            "part": one.match.wanted.part,
            "uuid": one.match.wanted.uuid,
            "outcome": one.outcome,
            "matchedBy": one.match.by,
            "product": {
                "ref": one.match.product.ref,
                "id": one.match.product.id,
                "name": one.match.product.name,
            },
            "definition": one.match.definition.ref,
            "target": one.target,
        }
        for one in stamps
    ]
