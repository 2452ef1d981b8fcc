"""`dotpeen step diff`: what became of the UUIDs of a file in a newer one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psycopg
import typer

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.errors import DotpeenError
from dotpeen_step.commands.files import is_named
from dotpeen_step.commands.link import who
from dotpeen_step.commands.progress import comparing, reading
from dotpeen_step.commands.records import records_of
from dotpeen_step.plugin import settings

if TYPE_CHECKING:
    from dotpeen_step.comparing.carrying import Carry
    from dotpeen_step.comparing.changes import Comparison

OldArgument = Annotated[Path, typer.Argument(metavar="OLD", help="A STEP file.", callback=is_named)]
NewArgument = Annotated[
    Path, typer.Argument(metavar="NEW", help="A newer revision of it.", callback=is_named)
]
CarryOption = Annotated[
    bool, typer.Option("--carry", help="Link NEW to the parts that OLD is linked to, after asking.")
]
DetailsOption = Annotated[
    int,
    typer.Option("--details", metavar="N", min=0, help="Tell what differs of so many changed items."),
]


def diff(
    context: typer.Context,
    old: OldArgument,
    new: NewArgument,
    *,
    carry: CarryOption = False,
    details: DetailsOption = 200,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two STEP files by UUID: what was kept, changed, added, removed, and what moved to something else.

    Instance numbers, layout and the spelling of numbers make no difference. Where OLD is linked to parts, the links to
    NEW are proposed; --carry makes them. Without a database at hand the files are compared all the same. Ends with 0
    whatever differs, with 1 when --carry has nothing certain to carry over, and with 2 when a file can't be read.

    Example: `dotpeen step diff bracket-a.stp bracket-b.stp`
    """
    from dotpeen_step.comparing.compare import compare  # what isn't needed to list commands
    from dotpeen_step.comparing.report import (
        carries_json,
        comparison_json,
        print_carries,
        print_comparison,
    )

    shared = current(context)
    with comparing(shared, old, new) as progress:
        comparison = compare(old, new, explained=details, progress=progress)
    if not as_json:
        print_comparison(shared, comparison)
    carries = _carries(shared, comparison, new, carry=carry, yes=yes)
    if as_json:
        told = None if carries is None else carries_json(shared, carries, new)
        shared.print_json({**comparison_json(comparison), "links": told})
    elif carries:
        print_carries(shared, carries, new)
    if carry and not any(one.state in ("carried", "linked") for one in carries or ()):
        shared.err.print("No link was carried over.", highlight=False)
        raise typer.Exit(1)


def _carries(
    shared: Context, comparison: Comparison, new: Path, *, carry: bool, yes: bool
) -> Sequence[Carry] | None:
    """Return what is proposed or was done for the parts that OLD is linked to; None where no database was asked."""
    if not (carry or _at_hand(shared)):
        return None
    from dotpeen_step.comparing.carrying import carry as carry_over
    from dotpeen_step.comparing.carrying import proposals
    from dotpeen_step.linking.parts import number_column

    try:
        column = number_column(shared.registry, settings(shared.registry))
        with records_of(shared) as records:
            proposed = proposals(records, comparison, column=column)
            certain = [one for one in proposed if one.state == "proposed"]
            if not carry or not certain:
                return proposed
            parts = ", ".join(str(one.part) for one in certain)
            shared.confirm(f"Link {new.name} to {parts}?", yes=yes)
            with reading(shared, new) as progress:
                return carry_over(
                    records, new, comparison, proposed, column=column, by=who(), progress=progress
                )
    except (DotpeenError, psycopg.Error) as error:
        if carry:
            raise
        # The comparison stands without it.
        said = error.message if isinstance(error, DotpeenError) else str(error).partition("\n")[0]
        shared.err.print(f"Links were not looked up: {said}", markup=False, highlight=False)
        return None


def _at_hand(shared: Context) -> bool:
    """Tell whether there is a database to be asked without making one: it is named, or the embedded one has data."""
    named = shared.database_url or os.environ.get("DOTPEEN_DATABASE_URL") or shared.registry.database.url
    return bool(named) or (Path.cwd() / ".dotpeen" / "postgres").is_dir()
