"""`dotpeen api`: the REST interface as a whole: switching external access off and on, its OpenAPI document."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dotpeen.cli.context import Context, JsonOption, YesOption, current
from dotpeen.cli.times import parse_duration
from dotpeen.database.schema import upgrade
from dotpeen.migration.journal import actor
from dotpeen.partners import ApiState
from dotpeen.partners.state import disable_external, enable_external, read_state
from dotpeen.plugins import load_plugins

app = typer.Typer(
    help="The REST interface: switch external access off and on, live; its OpenAPI document.",
    no_args_is_help=True,
)


class Surface(StrEnum):
    """What can be switched."""

    EXTERNAL = "external"


SurfaceArgument = Annotated[Surface, typer.Argument(metavar="external", help="Which part: external.")]


@app.command()
def disable(
    context: typer.Context,
    surface: SurfaceArgument,
    *,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, in one line; partners read it.")
    ] = None,
    retry_after: Annotated[
        str,
        typer.Option(
            "--retry-after", metavar="DURATION", help="When partners are told to try again: 5min, 2h."
        ),
    ] = "60s",
    as_json: JsonOption = False,
) -> None:
    """Switch external access off: within two seconds every node answers partners with 503 and Retry-After.

    It stays off, over restarts too, until it is switched on. Internal callers notice nothing.

    ```sh
    dotpeen api disable external --reason 'Maintenance until 14:00 UTC' --retry-after 30min
    ```
    """
    shared = current(context)
    seconds = parse_duration(retry_after, option="--retry-after")
    upgrade(shared.url)
    with shared.connect("api") as connection:
        state = disable_external(connection, by=actor(), reason=reason, retry_after=seconds)
    _print_state(shared, state, as_json=as_json)


@app.command()
def enable(context: typer.Context, surface: SurfaceArgument, *, as_json: JsonOption = False) -> None:
    """Switch external access on again; every node follows within two seconds.

    ```sh
    dotpeen api enable external
    ```
    """
    shared = current(context)
    upgrade(shared.url)
    with shared.connect("api") as connection:
        state = enable_external(connection, by=actor())
    _print_state(shared, state, as_json=as_json)


@app.command()
def status(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show whether external access is on, since when, by whom and why.

    ```sh
    dotpeen api status --json
    ```
    """
    shared = current(context)
    with shared.connect("api") as connection:
        state = read_state(connection)
    _print_state(shared, state, as_json=as_json)


@app.command()
def openapi(
    context: typer.Context,
    *,
    internal: Annotated[
        bool, typer.Option("--internal", help="With the routes of the site's own applications.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Print the OpenAPI 3.1 document, to make a client from or to hand to a partner.

    It comes from the registry and the types in the database, as they are now; no server needs to run. While both stay
    the same, so does the document.

    ```sh
    dotpeen api openapi -o openapi.json
    ```
    """
    # Half of what a command takes to start, and no other needs it.
    from dotpeen.api.openapi import document
    from dotpeen.records import load_shapes

    shared = current(context)
    registry = shared.registry
    plugins = load_plugins(registry)
    with shared.connect("api") as connection:
        shapes = load_shapes(connection, registry, plugins)
    for name, reason in shapes.missing.items():
        shared.err.print(f"Left out: {name} ({reason})", markup=False, highlight=False, soft_wrap=True)
    described = document(registry, shapes, internal=internal, plugins=plugins)
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        print(text, end="")
        return
    if output.exists() and output.read_bytes() != text.encode():
        shared.confirm(f"{output} has other content: overwrite it?", yes=yes)
    output.write_bytes(text.encode())


def _print_state(shared: Context, state: ApiState, *, as_json: bool) -> None:
    if as_json:
        shared.print_json({"external": state})
        return
    line = f"External access is {'on' if state.enabled else 'off'}"
    if state.changed_at is not None:
        line += f" since {state.changed_at:%Y-%m-%d %H:%M} UTC, by {state.changed_by}"
    if not state.enabled:
        line += f"; partners are told to try again after {state.retry_after_seconds} s"
        line += f". Reason: {state.reason}" if state.reason else ""
    shared.out.print(line, markup=False, highlight=False, soft_wrap=True)
