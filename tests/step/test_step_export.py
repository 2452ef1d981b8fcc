"""Exported parts: valid files that say what their reader may see, the same for the same data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import IsolationLevel

from conftest import TemplateDatabase
from dotpeen.database import connect
from dotpeen.demo.run import registry_text
from dotpeen.errors import ConfigurationError, InvalidQueryError, RecordNotFoundError
from dotpeen.hooks import Audience, ExportDocument, ExportRequest
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry, parse_registry
from dotpeen_step.exporting.contents import Contents
from dotpeen_step.exporting.part import Site, write_part
from dotpeen_step.inspection import Inspection, inspect
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.part21 import Part21File
from dotpeen_step.stamping.user_defined import ATTRIBUTE
from step.plant import build

UUID = "550e8400-e29b-41d4-a716-446655440000"
SITE = Site("MachShop", "0.1.0")
PART = Contents(UUID, "PN-1", "Plate", "B", "A plate", (("materialType", "STEEL"),))


def site(settings: str = "", *, expose: str = "") -> Registry:
    """The registry of the sample MES with other settings of the plugin, or other columns exposed."""
    text = registry_text().replace("[plugins.step]", f"[plugins.step]\n{settings}", 1)
    if expose:
        text = re.sub(r"(?ms)(^\[entities\.Part\]$.*?^expose = )\[.*?\]", rf"\1[{expose}]", text, count=1)
    return parse_registry(text, file="registry.toml")


MATERIAL = 'UPDATE public."Part" SET "materialType" = \'STEEL 4340\''


class Exports:
    """The sample MES, and its parts as files."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.url, purpose="test") as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with connect(self.url, purpose="test") as connection:
            connection.execute(statement.encode())

    def part(self) -> tuple[str, str]:
        """UUID and number of a part."""
        uuid, number = self.rows('SELECT "persistentUuid"::text, "partNumber" FROM public."Part" ORDER BY 2')[
            0
        ]
        return uuid, number

    def open(
        self, uuid: str, registry: Registry | None = None, *, audience: Audience = "internal", **options: str
    ) -> tuple[ExportDocument, bytes]:
        """Export as `dotpeen export` does."""
        registry = registry or site()
        exporter = {one.format: one for _, one in load_plugins(registry).exporters()}["step"]
        with connect(self.url, purpose="test") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                entity = registry.entities["Part"]
                document = exporter.open(ExportRequest(registry, connection, entity, uuid, audience, options))
                return document, b"".join(document.chunks)

    def export(self, uuid: str, registry: Registry | None = None, **options: Any) -> bytes:
        return self.open(uuid, registry, **options)[1]


@pytest.fixture(scope="module")
def plant(server: Any) -> Iterator[Exports]:
    """A sample MES that the tests of this module share: they leave it as it is."""
    url = server.create(server.template("step", build))
    plant = Exports(url)
    plant.execute(MATERIAL)
    yield plant
    server.drop(url)


@pytest.fixture
def own_plant(template_database: TemplateDatabase) -> Exports:
    """A sample MES that a test may change."""
    plant = Exports(template_database("step", build))
    plant.execute(MATERIAL)
    return plant


def inspected(content: bytes, folder: Path) -> Inspection:
    file = folder / "exported.stp"
    file.write_bytes(content)
    return inspect(file)


def written(part: Contents = PART, *carriers: Carrier) -> bytes:
    return write_part(part, SITE, file_name="PN-1.stp", carriers=carriers or (Carrier.USER_DEFINED,))


# The file


def test_a_part_is_a_product_with_definition_shape_and_its_uuid(tmp_path: Path) -> None:
    found = inspected(written(), tmp_path)
    (product,) = found.products
    assert (product.id, product.name, product.revision, product.description) == (
        "PN-1",
        "Plate",
        "B",
        "A plate",
    )
    assert product.definition_ref is not None
    assert len(product.shape_refs) == 1
    assert [(one.uuid, one.carrier, one.product_ref) for one in found.uuids] == [
        (UUID, Carrier.USER_DEFINED, product.product_ref)
    ]
    assert list(found.findings) == []


def test_attributes_are_user_defined_attributes_under_their_own_names() -> None:
    text = written().decode()
    assert "PROPERTY_DEFINITION('materialType'" in text
    assert "DESCRIPTIVE_REPRESENTATION_ITEM('','STEEL')" in text


@pytest.mark.parametrize(
    ("carriers", "level", "schema", "edition"),
    [
        ((Carrier.USER_DEFINED,), "2;1", "442 3", 2),
        ((Carrier.ANCHOR,), "4;1", "442 3", 2),
        ((Carrier.UUID_ATTRIBUTE,), "2;1", "442 7", 4),
        ((Carrier.USER_DEFINED, Carrier.ANCHOR, Carrier.UUID_ATTRIBUTE), "4;1", "442 7", 4),
    ],
)
def test_each_carrier_declares_what_it_needs(
    tmp_path: Path, carriers: tuple[Carrier, ...], level: str, schema: str, edition: int
) -> None:
    content = written(PART, *carriers)
    found = inspected(content, tmp_path)
    (declared,) = found.schemas
    assert (found.header.implementation_level, declared.edition) == (level, edition)
    assert f"{{ 1 0 10303 {schema} 1 4 }}" in declared.raw
    assert {one.uuid for one in found.uuids} == {UUID}
    assert len(found.uuids) == len(carriers)
    assert list(found.findings) == []


@given(
    st.builds(
        Contents,
        uuid=st.uuids(version=4).map(str),
        number=st.text(max_size=40),
        name=st.text(max_size=40),
        revision=st.text(max_size=10),
        description=st.text(max_size=80),
        attributes=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=4).map(tuple),
    )
)
def test_whatever_the_columns_hold_the_file_says_it(part: Contents) -> None:
    content = write_part(part, SITE, file_name=part.number)
    assert content.isascii()
    with Part21File.from_bytes(content) as file:
        instances = {one.id: one for one in file.scan()}
        (product,) = (one for one in instances.values() if one.keyword == "PRODUCT")
        items = [one for one in instances.values() if one.keyword == "DESCRIPTIVE_REPRESENTATION_ITEM"]
        assert all(set(one.references()) <= instances.keys() for one in instances.values())
        assert product.parameters[:3] == (part.number, part.name, part.description)
        names = [one.parameters[1] for one in instances.values() if one.keyword == "GENERAL_PROPERTY"]
        values = [one.parameters[1] for one in items]
        assert tuple(zip(names, values, strict=True)) == (*part.attributes, (ATTRIBUTE, part.uuid))
        assert file.header.name == part.number


# What is in it


def test_a_part_of_the_mes_is_exported(plant: Exports, tmp_path: Path) -> None:
    uuid, number = plant.part()
    document, content = plant.open(uuid)
    (product,) = inspected(content, tmp_path).products
    assert (document.file_name, product.id) == (f"{number}.stp", number)
    assert [one.uuid for one in inspected(content, tmp_path).uuids] == [uuid]
    (material,) = plant.rows(f"""SELECT "materialType" FROM public."Part" WHERE "partNumber" = '{number}'""")[
        0
    ]
    assert f"DESCRIPTIVE_REPRESENTATION_ITEM('','{material}')" in content.decode()


def test_the_same_data_are_the_same_bytes_and_other_data_others(own_plant: Exports) -> None:
    uuid, _ = own_plant.part()
    document, content = own_plant.open(uuid)
    again, same = own_plant.open(uuid)
    assert (again.etag, same) == (document.etag, content)
    own_plant.execute(
        f"""UPDATE public."Part" SET "description" = 'it''s Ω' WHERE "persistentUuid" = '{uuid}'"""
    )
    changed, other = own_plant.open(uuid)
    assert changed.etag != document.etag
    assert b"'it''s \\X2\\03A9\\X0\\'" in other


def test_the_time_stamp_is_that_of_the_record(own_plant: Exports) -> None:
    uuid, _ = own_plant.part()
    own_plant.execute(
        f"""UPDATE public."Part" SET "updatedAt" = '2026-03-04 05:06:07.89' WHERE "persistentUuid" = '{uuid}'"""
    )
    assert b".stp','2026-03-04T05:06:07+00:00'," in own_plant.export(uuid)


def test_columns_are_chosen_by_settings(plant: Exports, tmp_path: Path) -> None:
    uuid, number = plant.part()
    registry = site(
        'part = { name = "description", revision = "status", description = "", attributes = ["id", "status"] }'
    )
    content = plant.export(uuid, registry)
    (row,) = plant.rows(
        f"""SELECT "description", "status", "id" FROM public."Part" WHERE "partNumber" = '{number}'"""
    )
    (product,) = inspected(content, tmp_path).products
    assert (product.name, product.revision, product.description) == (row[0] or number, row[1], "")
    assert f"DESCRIPTIVE_REPRESENTATION_ITEM('','{row[2]}')" in content.decode()
    assert "materialType" not in content.decode()


def test_values_that_are_null_are_left_out(own_plant: Exports, tmp_path: Path) -> None:
    uuid, number = own_plant.part()
    own_plant.execute(f"""UPDATE public."Part" SET "description" = NULL, "materialType" = NULL
        WHERE "persistentUuid" = '{uuid}'""")
    content = own_plant.export(uuid)
    (product,) = inspected(content, tmp_path).products
    assert (product.id, product.name, product.description) == (number, number, "")
    assert b"materialType" not in content


def test_partners_see_what_is_exposed_and_nothing_else(plant: Exports) -> None:
    uuid, number = plant.part()
    chosen = 'part = { revision = "id", attributes = ["materialType", "status", "createdAt"] }'
    registry = site(chosen, expose='"materialType"')
    text = plant.export(uuid, registry, audience="external").decode()
    assert f"'{number}'" in text
    assert re.findall(r"GENERAL_PROPERTY\('','(.*?)'", text) == ["materialType", "Dotpeen UUID"]
    (row,) = plant.rows(f"""SELECT "id", "description" FROM public."Part" WHERE "partNumber" = '{number}'""")
    assert not any(str(value) in text for value in row if value)
    assert "'1970-01-01T00:00:00+00:00'" in text
    assert plant.export(uuid, registry).decode() != text


@pytest.mark.parametrize("option", ["anchor", "uuid-attribute", "user-defined,anchor"])
def test_the_carrier_is_an_option(plant: Exports, tmp_path: Path, option: str) -> None:
    uuid, _ = plant.part()
    found = inspected(plant.export(uuid, carrier=option), tmp_path)
    assert {one.uuid for one in found.uuids} == {uuid}
    assert len(found.uuids) == len(option.split(","))


def test_a_carrier_that_there_is_not_is_refused(plant: Exports) -> None:
    with pytest.raises(InvalidQueryError, match="'guid' is none of user-defined, anchor, uuid-attribute"):
        plant.export(plant.part()[0], carrier="guid")


def test_a_part_that_there_is_not_is_not_found(plant: Exports) -> None:
    with pytest.raises(RecordNotFoundError):
        plant.export(UUID)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('part = { name = "title" }', r"plugins.step.part.name: .* has no column 'title'"),
        ('part = { attributes = ["colour"] }', r"plugins.step.part.attributes: .* has no column 'colour'"),
        ('part_number = "number"', r"plugins.step.part_number: .* has no column 'number'"),
    ],
)
def test_a_column_that_there_is_not_is_named(plant: Exports, settings: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plant.export(plant.part()[0], site(settings))


def test_a_number_that_partners_may_not_see_is_said(plant: Exports) -> None:
    registry = site('part_number = "id"')
    with pytest.raises(ConfigurationError, match="does not show partners what every file needs"):
        plant.export(plant.part()[0], registry, audience="external")
