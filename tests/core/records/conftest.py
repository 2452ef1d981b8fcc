"""Fixtures: the sample MES with UUIDs, shared or to be changed, and empty databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dotpeen.database.schema import upgrade
from dotpeen.demo.sample import create_schema, fill
from dotpeen.registry import Registry, load_registry

from .site import Site

if TYPE_CHECKING:
    from conftest import TemplateDatabase
    from postgres import Server

REGISTRY = Path(__file__).resolve().parents[3] / "registry.toml"
MakeSite = Callable[[str, str], Site]


def _migrated_mes(url: str) -> None:
    with psycopg.connect(url) as connection:
        create_schema(connection)
        fill(connection, 2000)
    site = Site(url, load_registry(REGISTRY))
    site.migrate()
    site.close()


@pytest.fixture(scope="session")
def default_registry() -> Registry:
    """The registry that comes with Dotpeen: eight entities."""
    return load_registry(REGISTRY)


@pytest.fixture(scope="session")
def mes(server: Server, default_registry: Registry) -> Iterator[Site]:
    """The sample MES, 2000 records of eight entities with UUIDs. Leave it as it is."""
    url = server.create(server.template("records_mes", _migrated_mes))
    site = Site(url, default_registry)
    yield site
    site.close()
    server.drop(url)


@pytest.fixture
def own_mes(template_database: TemplateDatabase, default_registry: Registry) -> Iterator[Site]:
    """The same, to be changed."""
    site = Site(template_database("records_mes", _migrated_mes), default_registry)
    yield site
    site.close()


@pytest.fixture
def make_site(template_database: TemplateDatabase) -> Iterator[MakeSite]:
    """`make_site(sql, registry)`: a database with these tables, migrated."""
    made: list[Site] = []

    def make(tables: str, registry: str) -> Site:
        site = Site(template_database("dotpeen", upgrade), registry)
        made.append(site)
        site.execute(tables)
        site.migrate()
        return site

    yield make
    for site in made:
        site.close()
