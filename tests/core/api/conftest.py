"""Fixtures of the interface's tests: a server on a free port, in a thread, over a migrated sample MES."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from dotpeen.api.app import create_app
from dotpeen.api.runtime import Runtime
from dotpeen.api.server import configuration
from dotpeen.database import connect
from dotpeen.database.schema import upgrade
from dotpeen.demo.run import build_plant, registry_text
from dotpeen.migration import Runner
from dotpeen.partners import Scope, store
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.registry import Registry, parse_registry

if TYPE_CHECKING:
    from postgres import Server

ROWS = 600
INTERNAL_TOKEN = "internal-token-of-the-tests"  # noqa: S105
_SETTINGS = '[api]\ninternal_token = "env:DOTPEEN_TEST_INTERNAL_TOKEN"\nrate_limit = "0"\n'


@dataclass
class Api:
    """A running server and what opens it."""

    url: str
    database: str
    registry: Registry
    token: str = field(repr=False)
    """Of a partner that may read and write everything."""
    client_id: str = ""
    internal_token: str = field(default=INTERNAL_TOKEN, repr=False)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30), repr=False)
    """Keeps its connections: most of what a request costs otherwise."""

    @property
    def partner(self) -> dict[str, str]:
        """Headers of a partner's request."""
        return {"authorization": f"Bearer {self.token}"}

    @property
    def internal(self) -> dict[str, str]:
        """Headers of a request by one of the site's own applications."""
        return {"authorization": f"Bearer {self.internal_token}"}

    def get(self, path: str, *, internal: bool = False, **options: object) -> httpx.Response:
        """GET as a partner, or as one of the site's own applications."""
        headers = self.internal if internal else self.partner
        return self.client.get(self.url + path, headers=headers, **options)  # type: ignore[arg-type]


def plant_registry() -> Registry:
    """The sample MES as its registry declares it; partners may change two columns."""
    text = registry_text()
    text = text.replace(
        "[entities.Part]\n", '[entities.Part]\nwritable = ["description", "status"]\n', 1
    ).replace("[api]\n", _SETTINGS, 1)
    return parse_registry(text, file="registry.toml")


def build(url: str) -> None:
    """Make the sample MES and migrate it."""
    registry = plant_registry()
    build_plant(url, ROWS)
    with Runner(url, registry, registry.select(phase=1)) as runner:
        runner.up()
    upgrade(url)


def whole_registry() -> Registry:
    """The sample MES with the entities of phase 2, whose lines a newcomer takes the comment signs from."""
    text = registry_text()
    start = text.index("# [entities.Equipment]")
    text = text[:start] + re.sub("^# ", "", text[start:], flags=re.MULTILINE)
    return parse_registry(text.replace("[api]\n", _SETTINGS, 1), file="registry.toml")


def build_site(url: str) -> None:
    """Migrate both phases; parts have numbers of an ERP and identifiers of a CAD system, too."""
    build_plant(url, ROWS)
    with connect(url, purpose="test") as connection:
        connection.execute(
            'ALTER TABLE public."Part" ADD "erpPartId" text UNIQUE, ADD "stepAp242Uuid" uuid UNIQUE'
        )
        connection.execute(
            'UPDATE public."Part" SET "erpPartId" = \'ERP-\' || "partNumber", "stepAp242Uuid" = gen_random_uuid()'
            ' WHERE "partNumber" < (SELECT max("partNumber") FROM public."Part")'
        )
    registry = whole_registry()
    with Runner(url, registry, registry.select()) as runner:
        runner.up()
    upgrade(url)


@contextmanager
def serving(
    url: str, registry: Registry, *, trusted: bool = False, plugins: Plugins | None = None
) -> Iterator[Api]:
    """Serve a database until the block ends."""
    with connect(url, purpose="test") as connection:
        scopes = {Scope("*", "read"), Scope("*", "write")}
        known = [partner.name for partner in store.list_all(connection)]
        if "Acme" in known:
            token = store.rotate(connection, "Acme", by="tests").token
        else:
            token = store.add(connection, "Acme", scopes, by="tests").token
    os.environ["DOTPEEN_TEST_INTERNAL_TOKEN"] = INTERNAL_TOKEN
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with Runtime(url, registry, plugins) as runtime:
            app = create_app(url, registry, plugins, runtime=runtime, trusted=trusted)
            config = configuration(app, direct=None if trusted else runtime, grace=5)
            servers.append(uvicorn.Server(config))
            await servers[0].serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=[serve()], daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not servers or not servers[0].started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server is not ready after a minute"
            time.sleep(0.02)
        host, port = listener.getsockname()
        api = Api(f"http://{host}:{port}", url, registry, token.text, token.id)
        with api.client:
            yield api
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(30)
        listener.close()


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    """A server that the tests of a module share: they leave its records as they are."""
    url = server.create(server.template("api", build))
    with serving(url, plant_registry()) as running:
        yield running
    server.drop(url)


@pytest.fixture
def own_api(server: Server) -> Iterator[Api]:
    """A server of the test's own, over a database that it may change."""
    url = server.create(server.template("api", build))
    with serving(url, plant_registry()) as running:
        yield running
    server.drop(url)


@pytest.fixture(scope="module")
def site(server: Server) -> Iterator[Api]:
    """A server over all thirteen tables, with plugins; the tests of a module share it and change nothing."""
    url = server.create(server.template("site", build_site))
    registry = whole_registry()
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)
