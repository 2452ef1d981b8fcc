"""`dotpeen step stamp`: put the persistent UUIDs of parts into a STEP file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.errors import ConfigurationError, NotMigratedError, RecordNotFoundError
from dotpeen_step.commands.records import records_of
from dotpeen_step.linking.parts import ENTITY, find_record, number_column, number_of
from dotpeen_step.plugin import settings

if TYPE_CHECKING:
    from dotpeen import Record, Records
    from dotpeen_step.inspection.carriers import Carrier
    from dotpeen_step.stamping import Wanted
    from dotpeen_step.stamping.plan import Stamp, StampPlan
    from dotpeen_step.stamping.stamp import Stamped

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
    from dotpeen_step.stamping import stamp

    shared = current(context)
    target = _target(file, output, in_place=in_place, dry_run=dry_run)
    carrier = _carrier(anchor=anchor, uuid_attribute=uuid_attribute)
    with records_of(shared) as records:
        column = number_column(shared.registry, settings(shared.registry))
        wanted = [_wanted(records, part, column) for part in parts]
    if target is not None and not in_place and target.is_file():
        shared.confirm(f"{target} is there already. Overwrite it?", yes=yes)
    done = stamp(file, wanted, target, carrier=carrier)
    if as_json:
        shared.print_json(_document(file, target, done, dry_run=dry_run))
        return
    for line in _lines(done.plan):
        shared.out.print(line, markup=False, highlight=False, soft_wrap=True)
    _close(shared, target, done, dry_run=dry_run)


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
    return output / file.name if output.is_dir() else output


def _carrier(*, anchor: bool, uuid_attribute: bool) -> Carrier:
    from dotpeen_step.inspection.carriers import Carrier

    if anchor and uuid_attribute:
        raise ConfigurationError(
            "--anchor and --uuid-attribute say two different things", hint="leave one out"
        )
    if anchor:
        return Carrier.ANCHOR
    return Carrier.UUID_ATTRIBUTE if uuid_attribute else Carrier.USER_DEFINED


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


def _lines(plan: StampPlan) -> Iterator[str]:
    for one in plan.stamps:
        where = f"{one.match.product.said}, {_NAMES[plan.carrier.value]} on #{one.target}"
        yield f"{one.match.wanted.part}: {one.outcome}: {one.match.wanted.uuid} on {where} ({_BY[one.match.by]})"
    if plan.raised is not None:
        yield f"implementation level {plan.raised.old!r} becomes {plan.raised.new!r}"


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
