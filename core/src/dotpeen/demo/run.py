"""The demonstration: a plant at work, its tables migrated under it, and what it noticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from psycopg import conninfo, sql

from dotpeen.database import connect
from dotpeen.demo import sample
from dotpeen.demo.load import PhaseReport, Writers
from dotpeen.errors import UnknownPluginError
from dotpeen.migration import Check, Runner
from dotpeen.migration.events import Notify
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.registry import Registry, parse_registry

DATABASE: Final = "dotpeen_demo"
QUIET_SECONDS: Final = 5.0
"""How long the plant works before and after the migration, to compare with."""


@dataclass(frozen=True)
class Report:
    """What the demonstration measured; times in seconds."""

    rows: dict[str, int]
    """Rows of each table of the sample MES at the start."""
    filled: int
    """Rows that got a UUID from the backfill."""
    migration_seconds: float
    backfill_seconds: float
    phases: dict[str, PhaseReport]
    longest_lock_wait: float
    longest_lock_held: float
    """Longest ACCESS EXCLUSIVE lock of the migration."""
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Every check passed and no statement of the plant failed."""
        return all(check.outcome != "failed" for check in self.checks) and not any(
            phase.failed for phase in self.phases.values()
        )


def registry_text() -> str:
    """Return the registry of the sample MES as TOML: the one a newcomer reads first."""
    return files("dotpeen.demo").joinpath("registry.toml").read_text(encoding="utf-8")


def demo_registry() -> Registry:
    """Return it validated."""
    return parse_registry(registry_text(), file="registry.toml of the demo")


def demo_plugins(registry: Registry) -> Plugins | None:
    """Load the plugins that the registry switches on; None where Dotpeen was installed without them."""
    try:
        return load_plugins(registry)
    except UnknownPluginError:
        return None


def create_database(server_url: str) -> str:
    """Make the demo's database anew on a server and return its URL."""
    drop_database(server_url)
    with connect(server_url, purpose="demo") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    return conninfo.make_conninfo(server_url, dbname=DATABASE)


def drop_database(server_url: str) -> None:
    """Drop the demo's database, whoever is connected."""
    with connect(server_url, purpose="demo") as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
        )


def build_plant(url: str, rows: int, *, progress: Callable[[str, int], None] | None = None) -> dict[str, int]:
    """Create and fill the sample MES; returns the rows of each table."""
    with connect(url, purpose="demo") as connection:
        sample.create_schema(connection)
        return sample.fill(connection, rows, progress=progress)


def run(
    url: str,
    rows: dict[str, int],
    *,
    workers: int,
    notify: Notify,
    say: Callable[[str], None],
    quiet_seconds: float = QUIET_SECONDS,
) -> Report:
    """Let the plant work before, during and after the migration, and measure both."""
    registry = demo_registry()
    entities = registry.select(phase=1)
    plugins = demo_plugins(registry)
    with Writers(url) as writers, Runner(url, registry, entities, notify=notify, plugins=plugins) as runner:
        say(
            f"The plant works: 80 writes a second, and reads. Measuring {quiet_seconds:.0f} s before anything happens …"
        )
        time.sleep(quiet_seconds)
        writers.mark("during")
        say("Migrating, while it goes on:")
        started = time.monotonic()
        checks = runner.up(workers=workers)
        seconds = time.monotonic() - started
        writers.mark("after")
        say(f"Measuring {quiet_seconds:.0f} s after …")
        time.sleep(quiet_seconds)
        filled, backfill_seconds, wait, held = _figures(runner)
    return Report(rows, filled, seconds, backfill_seconds, writers.report(), wait, held, checks)


def _figures(runner: Runner) -> tuple[int, float, float, float]:
    row = runner.connection.execute(
        "SELECT coalesce(sum(rows) FILTER (WHERE action = 'backfill'), 0)::bigint,"
        " coalesce(sum(seconds) FILTER (WHERE action = 'backfill'), 0)::float8,"
        " coalesce(max(lock_wait_seconds), 0)::float8,"
        " coalesce(max(lock_held_seconds) FILTER (WHERE lock = 'ACCESS EXCLUSIVE'), 0)::float8 FROM dotpeen.journal"
    ).fetchone()
    return row if row else (0, 0.0, 0.0, 0.0)
