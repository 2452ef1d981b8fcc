"""The MES of the link's tests: the tables of the sample, migrated with the plugin, and a few parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dotpeen import Records
from dotpeen.database import Connection, connect
from dotpeen.database.schema import upgrade
from dotpeen.demo import sample
from dotpeen.demo.run import registry_text
from dotpeen.identifiers import new_cuid
from dotpeen.migration import Runner
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.registry import Registry, parse_registry
from dotpeen_step.inspection import inspect
from dotpeen_step.linking.link import Choice, Linked, link_file, link_uuid
from dotpeen_step.linking.parts import number_column
from dotpeen_step.linking.unlink import Unlinked, unlink
from dotpeen_step.settings import Settings
from step.files import AP242_E4, part21

NUMBERS = ("PN-1001", "PN-1002", "PN-1003")
BY = "user tester"


def registry(settings: str = "", *, sidecar: bool = False) -> Registry:
    """The registry of the sample MES, with settings of the plugin."""
    text = registry_text().replace("[plugins.step]\n", f"[plugins.step]\n{settings}\n", 1)
    if sidecar:
        text = text.replace("[entities.Part]\n", '[entities.Part]\nuuid = { storage = "sidecar" }\n', 1)
    return parse_registry(text, file="registry.toml")


def build(url: str) -> None:
    """An empty MES whose parts have UUIDs and a place for the reference, and three parts."""
    _build(url, registry())


def build_sidecar(url: str) -> None:
    """The same, with the parts' UUIDs and references beside their table."""
    _build(url, registry(sidecar=True))


def _build(url: str, site: Registry) -> None:
    with connect(url, purpose="test") as connection:
        sample.create_schema(connection)
    plugins = load_plugins(site)
    with Runner(url, site, site.select(names=("Part",)), plugins=plugins) as runner:
        runner.up()
    upgrade(url)
    with Records(site, url, plugins=plugins) as records:
        for number in NUMBERS:
            records.create("Part", {"id": new_cuid(), "partNumber": number, "description": "Plate"})


class Plant:
    """A database of a test, with what tests do to it."""

    def __init__(self, url: str, site: Registry | None = None) -> None:
        self.url = url
        self.registry = site or registry()
        self.plugins: Plugins = load_plugins(self.registry)
        assert self.plugins.failed == {}
        self.records = Records(self.registry, url, plugins=self.plugins)

    def close(self) -> None:
        self.records.close()

    @property
    def column(self) -> str | None:
        return number_column(self.registry, Settings())

    @contextmanager
    def session(self) -> Iterator[Connection]:
        with connect(self.url, purpose="test") as connection:
            yield connection

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.session() as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def uuid(self, number: str = "PN-1001") -> str:
        return str(self.records.uuid_of("Part", number))

    def reference(self, number: str = "PN-1001") -> str | None:
        """The part's `stepAp242Uuid`."""
        value = self.records.find("Part", number).values["stepAp242Uuid"]
        return None if value is None else str(value)

    def link(
        self,
        file: Path,
        number: str = "PN-1001",
        *,
        product: str | None = None,
        uuid: str | None = None,
        newest_only: bool = False,
    ) -> Linked:
        return link_file(
            self.records,
            inspect(file),
            number,
            column=self.column,
            by=BY,
            choice=Choice(product, uuid),
            newest_only=newest_only,
        )

    def link_uuid(self, uuid: str, number: str = "PN-1001") -> Linked:
        return link_uuid(self.records, number, uuid, column=self.column, by=BY)

    def unlink(self, number: str = "PN-1001", **which: Any) -> Unlinked:
        return unlink(self.records, number, column=self.column, by=BY, **which)

    def state(self) -> tuple[list[tuple[Any, ...]], ...]:
        """Everything that linking writes."""
        there = self.rows("SELECT pg_catalog.to_regclass('dotpeen_step.link') IS NOT NULL")[0][0]
        tables = ("file", "link", "item") if there else ()
        return (
            self.rows('SELECT "partNumber", "stepAp242Uuid"::text FROM public."Part" ORDER BY 1'),
            *(self.rows(f"SELECT t::text FROM dotpeen_step.{table} AS t ORDER BY 1") for table in tables),
        )


def model(
    *products: tuple[str, str | None],
    faces: Sequence[str] = (),
    more: str = "",
    written: str = "2026-01-02T03:04:05",
    system: str = "CAD 1",
) -> bytes:
    """A file with these products, each a number and the UUID of its shape; `faces` are UUIDs of the first's."""
    lines = ["#1=APPLICATION_CONTEXT('');", "#2=PRODUCT_CONTEXT('',#1,'mechanical');"]
    for at, (number, uuid) in enumerate(products):
        n = 10 * (at + 1)
        lines += [
            f"#{n}=PRODUCT('{number}','Plate {at}','',(#2));",
            f"#{n + 1}=PRODUCT_DEFINITION_FORMATION('A','',#{n});",
            f"#{n + 2}=PRODUCT_DEFINITION('design','',#{n + 1},$);",
            f"#{n + 3}=PRODUCT_DEFINITION_SHAPE('','',#{n + 2});",
        ]
        if uuid is not None:
            lines.append(f"#{n + 4}=V5_UUID_ATTRIBUTE('{uuid}',((#{n + 3})));")
    for at, uuid in enumerate(faces):
        n = 1000 + 2 * at
        lines += [
            f"#{n}=ADVANCED_FACE('face {at}',(),$,.T.);",
            f"#{n + 1}=V5_UUID_ATTRIBUTE('{uuid}',((#{n})));",
        ]
    text = part21("\n".join(lines) + "\n" + more, schema=AP242_E4, system=system)
    return text.replace(b"2026-01-02T03:04:05", written.encode())
