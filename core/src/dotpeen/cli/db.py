"""`dotpeen db`: the embedded PostgreSQL of the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dotpeen.cli.context import JsonOption, current
from dotpeen.database import embedded

app = typer.Typer(help="The embedded PostgreSQL: start it, stop it, talk to it.", no_args_is_help=True)

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="Its data. [default: .dotpeen/postgres]")
]


@app.command()
def start(context: typer.Context, *, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Start the server unless it runs already, and print its URL. It runs until `dotpeen db stop`."""
    folder = data or embedded.default_data_dir()
    was_running = embedded.running(folder)
    url = embedded.start(folder)
    if as_json:
        current(context).print_json({"url": url, "data": folder, "wasRunning": was_running})
    else:
        print(url)


@app.command()
def stop(context: typer.Context, *, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Stop the server and say whether it ran. Its data stay."""
    folder = data or embedded.default_data_dir()
    was_running = embedded.stop(folder)
    if as_json:
        current(context).print_json({"data": folder, "wasRunning": was_running})
    else:
        print(f"Stopped the server in {folder}." if was_running else f"No server was running in {folder}.")


@app.command()
def url(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Print the URL of the database that the other commands use; the embedded server is started.

    It is printed as it was given, with its password if it has one.
    """
    shared = current(context)
    if as_json:
        shared.print_json({"url": shared.url})
    else:
        print(shared.url)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def psql(context: typer.Context) -> None:
    """Open psql on that database. What follows is passed on: `dotpeen db psql -c 'SELECT 1'`."""
    program = embedded.program("psql")
    arguments = [str(program), "--dbname", current(context).url, *context.args]
    os.execv(program, arguments)  # noqa: S606 - psql takes over the terminal and the exit code
