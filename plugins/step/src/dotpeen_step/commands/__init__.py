"""`dotpeen step`: inspect, link, stamp and compare STEP files. A module for each command."""

from __future__ import annotations

import typer

from dotpeen_step.commands.diff import diff
from dotpeen_step.commands.inspect_command import inspect_file
from dotpeen_step.commands.link import link, links, unlink
from dotpeen_step.commands.pmi import pmi
from dotpeen_step.commands.stamp import stamp_file

app = typer.Typer(
    name="step",
    help="STEP files (ISO 10303-21, AP242): look into them, and tie them to parts by UUID.",
    no_args_is_help=True,
)

app.command("inspect")(inspect_file)
app.command("pmi")(pmi)
app.command("link")(link)
app.command("unlink")(unlink)
app.command("links")(links)
app.command("diff")(diff)
app.command("stamp")(stamp_file)
