"""Fixtures of the migration's integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acceptance.zygote import Command, Zygote
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


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("zygote")) as zygote:
        yield zygote


@dataclass(frozen=True)
class ForkedDotpeen:
    """Runs the command line in `folder`, in a process that need not import it first."""

    folder: Path
    zygote: Zygote

    def __call__(self, *arguments: str | Path) -> Command:
        command = self.zygote.start(*arguments, cwd=self.folder)
        command.wait(120)
        return command


@pytest.fixture
def run_dotpeen(tmp_path: Path, zygote: Zygote) -> ForkedDotpeen:
    """As everywhere, but forked: what the commands make is tested here, not how a process of theirs begins."""
    return ForkedDotpeen(tmp_path, zygote)
