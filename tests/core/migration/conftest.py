"""Fixtures of the migration's integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dotpeen.database.schema import upgrade
from dotpeen.migration.events import Event

from .plant import Plant

if TYPE_CHECKING:
    from conftest import TemplateDatabase


@pytest.fixture
def plant(template_database: TemplateDatabase) -> Iterator[Plant]:
    """A plant with an empty database; Dotpeen's own schema is there, which saves each test making it."""
    plant = Plant(template_database("dotpeen", upgrade))
    yield plant
    plant.close()


@pytest.fixture
def parts(plant: Plant) -> Plant:
    """A plant with 300 parts, numbered P1 to P300, declared as `Part`."""
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text NOT NULL UNIQUE)")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 300) AS n")
    return plant


@pytest.fixture
def events() -> list[Event]:
    """Hand `events.append` to the engine as `notify`."""
    return []
