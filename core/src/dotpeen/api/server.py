"""One process of the server: both listeners on one loop, sharing what requests need.

`uvicorn dotpeen.api.server:app`, and any other ASGI server, finds the application of the external listener here, made
from `DOTPEEN_REGISTRY` and `DOTPEEN_DATABASE_URL`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
import uvloop
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dotpeen.api import logs
from dotpeen.api.app import create_app
from dotpeen.api.direct import Direct
from dotpeen.api.figures import Board, Figures
from dotpeen.api.listeners import BACKLOG, Listener
from dotpeen.api.metrics import Metrics
from dotpeen.api.observation import Observation
from dotpeen.api.protocol import KEEP_ALIVE_SECONDS, Protocol
from dotpeen.api.runtime import Runtime
from dotpeen.api.surface import Application
from dotpeen.database import resolve_url
from dotpeen.database.schema import upgrade
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.registry import Registry, load_registry

LINGER_SECONDS: Final = 1.0
"""How long a server that ends keeps quiet connections: who sends a request on one is answered, and told to leave."""
_GRACE_SECONDS: Final = 5
"""Added to the time that a request may wait for the database: after that the server ends whatever is under way."""


@dataclass(frozen=True)
class Service:
    """What every process of a server is started with."""

    url: str
    registry: Registry
    plugins: Plugins | None
    external: Listener
    internal: Listener | None
    board: Board

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Those there are."""
        return (self.external,) if self.internal is None else (self.external, self.internal)

    @property
    def grace(self) -> int:
        """Seconds that requests under way have once the server is to end."""
        return int(self.registry.api.request_timeout.total_seconds()) + _GRACE_SECONDS


class _Server(uvicorn.Server):
    """One listener."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the process, which has more than one of these."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End without losing a request that reached this process."""
        await self._accept_waiting(sockets or [])
        for server in self.servers:
            server.close()
        # A client may be sending on a connection that looks idle here: it is answered, and told to come no more.
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        loop = asyncio.get_running_loop()
        end = loop.time() + LINGER_SECONDS
        while state.connections and loop.time() < end:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    async def _accept_waiting(self, sockets: Sequence[socket.socket]) -> None:
        # Closing the socket would reset connections that the system has taken and this process not yet.
        loop = asyncio.get_running_loop()
        for one in sockets:
            with suppress(OSError):
                while True:
                    connection, _ = one.accept()
                    connection.settimeout(0)
                    await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        create = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return create(config=self.config, server_state=self.server_state, app_state={})


async def serve(
    service: Service, *, slot: int = 0, ready: Callable[[], None], parent: int | None = None
) -> signal.Signals | None:
    """Answer requests until SIGTERM or SIGINT, and then until those under way are answered.

    Returns the signal that came a second time, None after an end in order. `ready` is called once requests are
    answered; `parent` is the reading end of a pipe that closes when the process that started this one dies.
    """
    loop = asyncio.get_running_loop()
    figures = Figures(service.board, slot=slot)
    servers: list[_Server] = []
    ending: list[signal.Signals] = []
    starting = asyncio.current_task()

    def end(number: signal.Signals) -> None:
        ending.append(number)
        figures.draining = True
        for server in servers:
            server.should_exit = True
            server.force_exit = len(ending) > 1
        if not servers and starting is not None:
            starting.cancel()

    handled = [signal.SIGTERM] if parent is not None else [signal.SIGTERM, signal.SIGINT]
    for number in handled:
        loop.add_signal_handler(number, end, number)
    if parent is not None:
        loop.add_reader(parent, _once(loop, parent, lambda: end(signal.SIGTERM)))
    try:
        async with Runtime(service.url, service.registry, service.plugins) as runtime:
            metrics = Metrics(runtime, figures)
            publishing = asyncio.create_task(metrics.publish_forever())
            servers += [_server(service, listener, runtime, figures) for listener in service.listeners]
            running = [
                asyncio.create_task(server.serve(list(listener.sockets)))
                for server, listener in zip(servers, service.listeners, strict=True)
            ]
            while not all(server.started for server in servers) and not any(task.done() for task in running):
                await asyncio.sleep(0.01)
            ready()
            await asyncio.gather(*running)
            publishing.cancel()
    except asyncio.CancelledError:
        if not ending:
            raise
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
    return ending[1] if len(ending) > 1 else None


def run(service: Service, *, slot: int = 0, ready: Callable[[], None], parent: int | None = None) -> int:
    """Do so on a loop of its own; returns the exit code."""
    logs.configure()
    number = uvloop.run(serve(service, slot=slot, ready=ready, parent=parent))
    return 0 if number is None else 128 + number


def _server(service: Service, listener: Listener, runtime: Runtime, figures: Figures) -> _Server:
    application = create_app(
        service.url,
        service.registry,
        service.plugins,
        runtime=runtime,
        trusted=listener is service.internal,
        figures=figures,
    )
    direct = runtime if listener is service.external else None
    return _Server(configuration(application, direct=direct, grace=service.grace))


def configuration(application: Observation, *, direct: Runtime | None, grace: int) -> uvicorn.Config:
    """Return how uvicorn serves a listener; with `direct`, plain lookups by UUID don't go through the application.

    `grace` in seconds: what requests under way have once the server is to end.
    """
    # typed for uvicorn's own scopes, which are mappings as ours are
    proxied = ProxyHeadersMiddleware(
        cast("Any", application), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    )
    taking = None
    if direct is not None:
        taking = Direct(direct, application, remote=partial(_remote, proxied))
    return uvicorn.Config(
        proxied,
        http=cast("type[asyncio.Protocol]", partial(Protocol, direct=taking)),
        proxy_headers=False,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
    )


def _remote(proxied: ProxyHeadersMiddleware, connected: str, forwarded: str) -> str:
    """Who asks, as the middleware has it for the requests that come by it."""
    if connected not in proxied.trusted_hosts:
        return connected
    return proxied.trusted_hosts.get_trusted_client_address(forwarded)[0] or connected


def _once(loop: asyncio.AbstractEventLoop, descriptor: int, tell: Callable[[], None]) -> Callable[[], None]:
    def readable() -> None:
        loop.remove_reader(descriptor)
        tell()

    return readable


def application_from_environment() -> Application:
    """Make the external listener's application for another process manager; schema `dotpeen` is brought up to date.

    Raises `DotpeenError` as the command does.
    """
    logs.configure()
    registry = load_registry(Path(os.environ.get("DOTPEEN_REGISTRY") or "registry.toml"))
    url = resolve_url(registry_url=registry.database.url)
    upgrade(url)
    return create_app(url, registry, load_plugins(registry))


def __getattr__(name: str) -> Any:
    if name == "app":
        return application_from_environment()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
