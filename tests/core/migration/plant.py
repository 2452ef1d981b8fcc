"""A plant for the migration's integration tests: a database, its registry, and the engine between them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from dotpeen.migration import Check, Plan, Runner, Stage, down
from dotpeen.migration.events import Notify, ignore
from dotpeen.migration.model import Target
from dotpeen.migration.rollback import switch_guard
from dotpeen.migration.throttle import Window
from dotpeen.plugins import load_plugins
from dotpeen.registry import parse_registry

Rows = list[tuple[Any, ...]]
NAMESPACE = "6f7a3cf0-7a0e-4f6c-8f7e-7c1f5c1d0b1a"
PART = "[entities.Part]\ntable = 'part'\nuuid = { column = 'uuid' }\n"
"""The plain case: `part (id, number)` gets a column `uuid` of version 4."""


class Plant:
    """A database, a registry over it, and what people do with both."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.registry = parse_registry(PART)
        self.connection = psycopg.connect(url, autocommit=True, application_name="plant")

    @property
    def version(self) -> int:
        """Major version of the server."""
        return self.connection.info.server_version // 10000

    def declare(self, entities: str, **migration: str | int) -> None:
        """Use this registry; version 5 finds a namespace in it. Keywords are settings of [migration]."""
        settings = "".join(f"{key} = {value!r}\n" for key, value in migration.items())
        self.registry = parse_registry(
            f"[site]\nnamespace = '{NAMESPACE}'\n[migration]\n{settings}\n{entities}"
        )

    def execute(self, statement: str, parameters: Any = None) -> Rows:
        """Run SQL as the plant's application does; returns the rows, if it has any."""
        cursor = self.connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, query: str, parameters: Any = None) -> Any:
        """The one value of a query with one row and column."""
        ((value,),) = self.execute(query, parameters)
        return value

    def connect(self, application: str = "plant") -> AbstractContextManager[psycopg.Connection[Any]]:
        """Another session of the plant, in a transaction."""
        return psycopg.connect(self.url, application_name=application)

    def runner(self, *names: str, notify: Notify = ignore, url: str | None = None) -> Runner:
        plugins = load_plugins(self.registry)
        entities = self.registry.select(names=names)
        return Runner(url or self.url, self.registry, entities, notify=notify, plugins=plugins)

    def plan(self, *names: str, url: str | None = None) -> Plan:
        with self.runner(*names, url=url) as runner:
            return runner.plan()

    def up(
        self,
        *names: str,
        to: Stage = Stage.VERIFY,
        workers: int = 1,
        window: Window | None = None,
        notify: Notify = ignore,
        url: str | None = None,
    ) -> list[Check]:
        with self.runner(*names, notify=notify, url=url) as runner:
            return runner.up(to=to, workers=workers, window=window)

    def down(self, *names: str, to: Stage | None = None, notify: Notify = ignore) -> dict[str, int]:
        with self.runner(*names, notify=notify) as runner:
            return down(runner, to=to)

    def verify(self, *names: str) -> dict[str, tuple[str, str]]:
        """Outcome and detail of each check by its name."""
        # What this session deleted counts at once; else verification would wait for it.
        self.execute("SELECT pg_stat_force_next_flush()")
        with self.runner(*names) as runner:
            return {check.name: (check.outcome, check.detail) for check in runner.verify()}

    def failed(self, *names: str) -> dict[str, str]:
        """The checks that failed, with their detail."""
        return {
            name: detail for name, (outcome, detail) in self.verify(*names).items() if outcome == "failed"
        }

    def guard(self, name: str, *, on: bool) -> bool:
        with self.runner(name) as runner:
            return switch_guard(runner, self.registry.entities[name], on=on, reason="a test")

    def target(self, name: str) -> Target:
        with self.runner(name) as runner:
            return runner.target(self.registry.entities[name])

    def uuids(self, table: str = "part", column: str = "uuid", key: str = "id") -> dict[Any, Any]:
        """The UUID of each record by its key."""
        return dict(self.execute(f"SELECT {key}, {column} FROM {table}"))

    def identities(self, entity: str = "Part") -> dict[str, Any]:
        """The sidecar's UUID of each record by its key."""
        return dict(self.execute("SELECT key, uuid FROM dotpeen.identity WHERE entity = %s", [entity]))

    def issued(self, entity: str = "Part") -> dict[Any, tuple[str, bool]]:
        """The ledger: key and whether it is current, by UUID."""
        rows = self.execute("SELECT uuid, key, current FROM dotpeen.issued WHERE entity = %s", [entity])
        return {uuid: (key, current) for uuid, key, current in rows}

    def schema(self) -> Mapping[str, Rows]:
        """All of the catalog that a migration could touch outside of schema dotpeen."""
        return {subject: self.execute(query) for subject, query in _SNAPSHOT.items()}

    def close(self) -> None:
        self.connection.close()


_SNAPSHOT = {
    "columns": """
        SELECT a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid)
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dotpeen')
         ORDER BY 1, a.attnum""",
    "indexes": """
        SELECT schemaname, indexname, indexdef FROM pg_indexes
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'dotpeen') ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, convalidated, pg_get_constraintdef(o.oid)
          FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'dotpeen') ORDER BY 1, 2""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(t.oid)
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT tgisinternal AND n.nspname <> 'dotpeen' ORDER BY 1, 2""",
}
