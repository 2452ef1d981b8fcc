"""The registry at the root of the source tree: what a newcomer reads first must be right."""

import re
from pathlib import Path

import psycopg
import pytest

from dotpeen.database import connect, read_catalog
from dotpeen.demo import sample
from dotpeen.demo.run import registry_text
from dotpeen.proposal.tables import updated_at
from dotpeen.registry import Registry, load_registry, parse_registry

PHASE_1 = [
    "Part",
    "SerializedPart",
    "MaterialLot",
    "WorkOrder",
    "QIFMeasurementPlan",
    "QIFCharacteristic",
    "QIFMeasurementResult",
    "ECORequest",
]
PHASE_2 = ["Equipment", "Operation", "Material", "Supplier", "Customer"]


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "registry.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything(text: str) -> Registry:
    """The registry with its commented-out part switched on."""
    first, second = text.split("# Phase 2:")
    return parse_registry(first + "# " + re.sub(r"(?m)^# ?(?=\[|\w+ = )", "", second))


def test_the_demo_comes_with_this_registry(text: str) -> None:
    assert registry_text() == text


def test_has_the_entities_of_phase_1_and_three_plugins(repository: Path) -> None:
    registry = load_registry(repository / "registry.toml")
    assert [entity.name for entity in registry.select(phase=1)] == list(registry.entities) == PHASE_1
    assert list(registry.plugins) == ["qif", "erp", "step"]


def test_phase_2_waits_in_comments(everything: Registry) -> None:
    assert [entity.name for entity in everything.select(phase=2)] == PHASE_2


def test_commented_defaults_are_the_defaults(text: str) -> None:
    body = text.split("# Phase 2:")[0]
    without_default = "url|namespace|schema_dir|max_active_sessions|internal_token|writable"
    body = re.sub(rf"(?m)^# (?:{without_default}) = .*$|^# relations.*$", "", body)
    body = re.sub(r"(?m)^# (?=\w+ = )", "", body)
    assert parse_registry(body) == parse_registry(text)


def test_every_column_is_in_the_sample_plant(everything: Registry, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        sample.create_schema(connection)
    with connect(database, purpose="test") as connection:
        catalog = read_catalog(connection)
    for entity in everything.entities.values():
        table = catalog.tables[entity.table]
        named = {*entity.primary_key, *entity.business_id, *entity.expose, *entity.filters}
        assert entity.updated_at == updated_at(table)
        assert named <= set(table.columns), entity.name
        assert table.primary_key == entity.primary_key
        assert not entity.business_id or table.is_key(entity.business_id)
        assert entity.uuid.column not in table.columns
