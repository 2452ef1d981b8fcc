"""`dotpeen serve`: the REST interface."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dotpeen.cli.context import Context, current
from dotpeen.database.connect import describe
from dotpeen.database.schema import upgrade
from dotpeen.errors import ConfigurationError
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry
from dotpeen.registry.settings import secret

if TYPE_CHECKING:
    from dotpeen.api.server import Service
    from dotpeen.partners import ApiState


def serve(
    context: typer.Context,
    *,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Where partners come in. [default: of the registry]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="0 takes a free one. [default: of the registry]"),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=128, help="Processes; one per processor core.")
    ] = 1,
    internal_port: Annotated[
        int | None,
        typer.Option(
            "--internal-port",
            min=0,
            max=65535,
            help="A second port, on which internal routes need no token. [default: of the registry]",
        ),
    ] = None,
    internal_host: Annotated[
        str | None,
        typer.Option("--internal-host", metavar="ADDRESS", help="Its address. [default: of the registry]"),
    ] = None,
) -> None:
    """Serve the REST interface of every entity in the registry.

    Partners come in at `/api/v1/external`, each with a token of its own (`dotpeen partner add`). The internal and
    flexible routes (`/api`, `/api/internal`), `/metrics` and the details of `/health/ready` are for the site itself:
    they are closed until the registry names an `internal_token`, or there is an internal port.

    - `dotpeen serve` answers on http://127.0.0.1:8000, with its documentation at `/docs`

    - `dotpeen serve --workers 4` uses four cores; one that dies is started again

    - `dotpeen serve --host 0.0.0.0 --internal-port 8001` opens it to the network, and what is internal to this
      machine only

    The log is on standard error, one JSON object per line. SIGTERM or Ctrl-C ends it once every request under way is
    answered; a second one at once.
    """
    shared = current(context)
    registry = _with_options(shared.registry, host, port, internal_port, internal_host)
    if workers > 1 and not hasattr(os, "fork"):
        raise ConfigurationError("several workers need a system that forks", hint="start one, or use Linux")
    if registry.api.internal_token is not None:
        _check_token(secret(registry.api.internal_token, key="[api] internal_token"))
    try:
        service, found = _prepare(shared, registry, workers)

        def announce() -> None:
            _announce(shared.err, service, found)

        code = _run(service, workers, announce)
    except KeyboardInterrupt:
        # Nobody was answered yet: this is an end in order, too.
        code = 0
    if code:
        raise typer.Exit(code)


def _with_options(
    registry: Registry,
    host: str | None,
    port: int | None,
    internal_port: int | None,
    internal_host: str | None,
) -> Registry:
    given = {"host": host, "port": port, "internal_port": internal_port, "internal_host": internal_host}
    api = registry.api.model_copy(update={name: value for name, value in given.items() if value is not None})
    if api.port and (api.internal_host, api.internal_port) == (api.host, api.port):
        raise ConfigurationError(
            f"port {api.port} is meant for both listeners",
            hint="choose another with --port or --internal-port",
        )
    return registry.model_copy(update={"api": api})


def _check_token(token: str) -> None:
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "the internal token is no good: it must have 16 printable ASCII characters or more, and no blank",
            hint='one is made by: python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
        )


@dataclass(frozen=True)
class _Found:
    """What stands in the database at the start, for the person who starts the server."""

    partners: int
    state: ApiState
    entities: int
    waiting: tuple[str, ...]
    missing: Mapping[str, str]
    """Why entities of the registry are not in this database."""


def _prepare(shared: Context, registry: Registry, workers: int) -> tuple[Service, _Found]:
    # Importing these takes longer than all the rest of another command's start.
    from dotpeen.api.figures import Board
    from dotpeen.api.listeners import listen
    from dotpeen.api.server import Service
    from dotpeen.partners import store
    from dotpeen.partners.state import read_state
    from dotpeen.records import load_shapes

    api = registry.api
    plugins = load_plugins(registry)
    with shared.connect("serve") as connection:
        shapes = load_shapes(connection, registry, plugins)
        if shapes.missing and not shapes:
            raise ConfigurationError(
                f"{describe(shared.url)} has no table of any entity in {registry.file}",
                hint="is this the database meant (--database-url, DOTPEEN_DATABASE_URL, registry)? "
                "dotpeen check says more",
            )
        # Not before: nothing is made in a database that is not the one.
        upgrade(shared.url)
        found = _Found(
            partners=sum(partner.status == "active" for partner in store.list_all(connection)),
            state=read_state(connection),
            entities=len(shapes),
            waiting=tuple(name for name, shape in shapes.items() if shape.ready is not None),
            missing=shapes.missing,
        )
    external = listen("external", api.host, api.port, option="--port")
    internal = None
    if api.internal_port is not None:
        internal = listen("internal", api.internal_host, api.internal_port, option="--internal-port")
    return Service(shared.url, registry, plugins, external, internal, Board(workers)), found


def _run(service: Service, workers: int, announce: Callable[[], None]) -> int:
    from dotpeen.api import logs, server
    from dotpeen.api.workers import Workers

    if workers == 1:
        return server.run(service, ready=announce)
    logs.configure()

    def work(slot: int, ready: Callable[[], None], parent: int) -> int:
        return server.run(service, slot=slot, ready=ready, parent=parent)

    return Workers(workers, work, service.board, service.listeners, ready=announce, grace=service.grace).run()


def _announce(err: Console, service: Service, found: _Found) -> None:
    api = service.registry.api
    external, internal = service.external, service.internal
    partners = f"{found.partners} partner{'' if found.partners == 1 else 's'}"
    if not found.state.enabled:
        partners += ", switched off now (dotpeen api enable external)"
    elif not found.partners:
        partners += " yet (dotpeen partner add)"
    if internal is not None:
        inside = f"{internal.url}/api, no token"
        if internal.everywhere:
            inside += ": REACHED FROM EVERYWHERE"
        if api.internal_token is not None:
            inside += f"; {external.url}/api, with the internal token"
    elif api.internal_token is not None:
        inside = f"{external.url}/api, with the internal token"
    else:
        inside = "closed ([api] internal_token or internal_port opens it)"
    metrics = "closed"
    if internal is not None:
        metrics = f"{internal.url}/metrics"
    elif api.internal_token is not None:
        metrics = f"{external.url}/metrics, with the internal token"
    entities = f"{found.entities}"
    if found.waiting:
        verb = "has" if len(found.waiting) == 1 else "have"
        entities += f", of which {len(found.waiting)} {verb} no UUIDs yet: {', '.join(found.waiting)}"
    if found.missing:
        named = ", ".join(f"{name} ({reason})" for name, reason in found.missing.items())
        entities += f"; not in this database: {named}; dotpeen check says more"
    for name, value in (
        ("Dotpeen answers", external.url),
        ("external", f"{external.url}/api/v1/external, {partners}"),
        ("internal", inside),
        ("docs", f"{external.url}/docs"),
        ("metrics", metrics),
        ("database", describe(service.url).removeprefix("database ")),
        ("entities", entities),
    ):
        err.print(f"{name:<16}{value}", markup=False, highlight=False, soft_wrap=True)
