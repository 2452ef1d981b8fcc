"""`dotpeen step inspect`: what a STEP file says about identity."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dotpeen.cli.context import JsonOption, current
from dotpeen_step.commands.files import FileArgument
from dotpeen_step.commands.progress import reading

if TYPE_CHECKING:
    from dotpeen_step.inspection import Inspection

AllOption = Annotated[bool, typer.Option("--all", help="Every row, not only the first of each list.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="End with 1 when the file has an error.")]


def inspect_file(
    context: typer.Context,
    file: FileArgument,
    *,
    everything: AllOption = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the products of a STEP file, its UUIDs and what they identify, and what is wrong with them.

    Nothing is written anywhere. Ends with 0, with --strict 1 when the file has an error (warnings don't count), and
    with 2 when the file can't be read.

    Example: `dotpeen step inspect bracket.stp`
    """
    from dotpeen_step.inspection import inspect  # what isn't needed to list commands

    shared = current(context)
    with reading(shared, file) as progress:
        inspection = inspect(file, progress=progress)
    if as_json:
        _print_json(inspection)
    else:
        from dotpeen_step.inspection.report import report

        report(inspection, shared.out, everything=everything)
    if strict and inspection.errors:
        raise typer.Exit(1)


def _print_json(inspection: Inspection) -> None:
    from dotpeen_step.inspection.document import json_text

    for text in json_text(inspection):
        sys.stdout.write(text)
