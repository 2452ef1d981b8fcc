"""The documentation says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from dotpeen import hooks
from dotpeen.plugins import load_plugins
from dotpeen.registry import (
    ApiSettings,
    DatabaseSettings,
    Entity,
    MigrationSettings,
    PluginSettings,
    Relation,
    Site,
    UuidColumn,
    parse_registry,
)
from dotpeen_qif import Settings as QifSettings


@pytest.fixture(scope="module")
def reference(repository: Path) -> str:
    return (repository / "docs" / "registry.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## `[site]`", Site),
        ("## `[database]`", DatabaseSettings),
        ("## `[migration]`", MigrationSettings),
        ("## `[api]`", ApiSettings),
        ("## `[entities.NAME]`", Entity),
        ("### `uuid`", UuidColumn),
        ("### `relations.NAME`", Relation),
    ],
)
def test_every_key_of_the_registry_has_its_row(reference: str, heading: str, model: type[BaseModel]) -> None:
    section = re.split(r"\n#{2,3} ", reference.split(heading + "\n", 1)[1])[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \|", section)
    assert sorted(rows) == sorted(set(model.model_fields) - ({"name"} if model is Entity else set()))


def test_every_key_of_a_plugin_has_its_row(reference: str) -> None:
    assert all(f"| `{key}` |" in reference for key in PluginSettings.model_fields)
    assert all(f"| `qif` | `{key}` |" in reference for key in QifSettings.model_fields)


def test_documented_defaults_are_the_defaults(reference: str) -> None:
    for heading, model in [
        ("[site]", Site),
        ("[migration]", MigrationSettings),
        ("[api]", ApiSettings),
        ("uuid", UuidColumn),
    ]:
        section = re.split(r"\n#{2,3} ", reference.split(f"# `{heading}`\n", 1)[1])[0]
        rows = dict(re.findall(r"(?m)^\| `(\w+)` \| `([^`]+)` \|", section))
        text = "\n".join(f"{key} = {value}" for key, value in rows.items())
        assert model.model_validate(tomllib.loads(text)) == model(), heading


def test_the_example_is_a_registry(reference: str) -> None:
    registry = parse_registry(re.findall(r"```toml\n(.*?)```", reference, re.DOTALL)[0])
    assert [entity.name for entity in registry.select()] == ["Part", "QIFMeasurementPlan", "Operation"]
    assert load_plugins(registry).enabled == ("erp",)


def test_every_hook_is_documented_and_has_an_example(repository: Path) -> None:
    index = (repository / "docs" / "index.md").read_text(encoding="utf-8")
    found = [name for name in vars(hooks) if name.startswith("dotpeen_")]
    assert sorted(found) == sorted(re.findall(r"`(dotpeen_\w+)`", index))
    assert all("@hookimpl" in str(vars(hooks)[name].__doc__) for name in found)


def test_every_page_is_in_the_navigation(repository: Path) -> None:
    navigation = (repository / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(repository / "docs")) for page in (repository / "docs").rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []
