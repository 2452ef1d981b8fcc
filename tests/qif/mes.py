"""The MES of the import's tests: the tables of the sample, migrated, and a registry that knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import sql

from dotpeen.database import Connection, connect
from dotpeen.demo import sample
from dotpeen.demo.run import registry_text
from dotpeen.hooks import Audience, ExportRequest, ImportReport, ImportRequest
from dotpeen.migration import Runner
from dotpeen.registry import Registry, parse_registry, plugin_settings
from dotpeen_qif.exporting.exporters import open_document
from dotpeen_qif.importing.importer import read
from dotpeen_qif.settings import Settings

ENTITIES = (
    *(
        "Part",
        "SerializedPart",
        "WorkOrder",
        "QIFMeasurementPlan",
        "QIFCharacteristic",
        "QIFMeasurementResult",
    ),
)
EVERYTHING = "Part,SerializedPart,WorkOrder"
FILL = """
[plugins.qif.imports.fill.WorkOrder]
quantity = 1
"""


def registry(plugin: str = FILL, *, settings: str = "") -> Registry:
    """The registry of the sample MES, with more settings of the plugin."""
    text = registry_text().replace("[plugins.qif]\n", f"[plugins.qif]\n{settings}\n", 1)
    return parse_registry(f"{text}\n{plugin}", file="registry.toml")


def sidecar_registry() -> Registry:
    """The same, with every UUID beside the tables."""
    text = re.sub(r"(?m)^(\[entities\.\w+\])$", r'\1\nuuid = { storage = "sidecar" }', registry_text())
    return parse_registry(f"{text}\n{FILL}", file="registry.toml")


def build(url: str) -> None:
    """An empty MES whose tables have UUIDs."""
    _build(url, registry())


def build_sidecar(url: str) -> None:
    """An empty MES whose UUIDs are beside its tables."""
    _build(url, sidecar_registry())


def _build(url: str, site: Registry) -> None:
    with connect(url, purpose="test") as connection:
        sample.create_schema(connection)
    with Runner(url, site, site.select(phase=1)) as runner:
        runner.up()


class Mes:
    """A database of a test, with what tests ask of it."""

    def __init__(self, url: str, site: Registry | None = None) -> None:
        self.url = url
        self.registry = site or registry()

    @property
    def settings(self) -> Settings:
        return plugin_settings(self.registry, "qif", Settings)

    @contextmanager
    def session(self) -> Iterator[Connection]:
        with connect(self.url, purpose="test", autocommit=False) as connection:
            yield connection

    def load(
        self, *files: Path, dry_run: bool = False, partial: bool = False, **options: str
    ) -> ImportReport:
        """Import files as `dotpeen import` does: one transaction, kept where all is well."""
        with self.session() as connection:
            request = ImportRequest(
                self.registry, connection, tuple(files), dry_run=dry_run, partial=partial, options=options
            )
            report = read(request, self.settings)
            if dry_run or not (report.clean or partial):
                connection.rollback()
            else:
                connection.commit()
        return report

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.session() as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f'SELECT count(*) FROM public."{table}"')[0][0])

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        with self.session() as connection:
            connection.execute(statement.encode(), parameters or None)
            connection.commit()

    def export(
        self,
        entity: str,
        uuid: str,
        *,
        kind: Any = "qif",
        audience: Audience = "internal",
        site: Registry | None = None,
        **options: str,
    ) -> bytes:
        """Export a record as the exporter of the plugin does."""
        with self.session() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            site = site or self.registry
            request = ExportRequest(site, connection, site.entities[entity], uuid, audience, options=options)
            return b"".join(open_document(kind, self.settings, request).chunks)

    def versions(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the MES and of the plugin's tables by its place and the transactions that wrote it."""
        tables = self.rows(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema IN ('public', 'dotpeen_qif') AND table_type = 'BASE TABLE'"
        )
        found = {}
        with self.session() as connection:
            for schema, name in tables:
                query = sql.SQL("SELECT ctid::text, xmin::text, xmax::text FROM {} ORDER BY 1").format(
                    sql.Identifier(schema, name)
                )
                found[f"{schema}.{name}"] = connection.execute(query).fetchall()
        return found


def counts(report: ImportReport) -> Mapping[str, dict[str, int]]:
    """Entity to outcome to number."""
    return {entity: dict(outcomes) for entity, outcomes in report.counts.items()}
