"""`dotpeen plugin new`: start a plugin of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dotpeen.cli.context import JsonOption, current

app = typer.Typer(no_args_is_help=True, help="Write a plugin of your own.")


@app.callback()
def _group() -> None: ...


@app.command("new")
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in [plugins.NAME]: crane-log.")],
    *,
    directory: Annotated[
        Path, typer.Option("--directory", "-d", metavar="DIR", help="Where its folder is made.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Make the folder dotpeen-NAME: a plugin that works, to be changed into what yours is for.

    It has settings, health, entries of the digital thread, an export, a command, and tests of them.
    """
    from dotpeen.skeleton import write_skeleton

    shared = current(context)
    target = write_skeleton(name, directory)
    if as_json:
        files = sorted(str(file.relative_to(target)) for file in target.rglob("*") if file.is_file())
        shared.print_json({"name": name, "folder": str(target), "files": files})
    shared.err.print(
        f"Wrote {target}. Next, in an environment that has Dotpeen (from a clone of it: uv pip install ./core):\n"
        f"  uv pip install -e '{target}[test]' && python -m pytest {target}     (or pip, as you are used to)\n"
        f"  add [plugins.{name}] to the registry; dotpeen plugins then lists it",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
