"""The documentation says what the code does."""

import ast
import builtins
import dis
import inspect
import re
import tomllib
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from dotpeen import contributions, hooks
from dotpeen.api.thread import ALL_SECONDS, ONE_SECONDS
from dotpeen.cli.lookup import PLUGIN_SECONDS
from dotpeen.plugins import load_plugins
from dotpeen.plugins.patience import CALL_SECONDS, IMPORT_SECONDS
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
from dotpeen_step import Settings as StepSettings


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
    assert all(f"| `step` | `{key}` |" in reference for key in StepSettings.model_fields)


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


@pytest.fixture(scope="module")
def plugins_page(repository: Path) -> str:
    return (repository / "docs" / "plugins.md").read_text(encoding="utf-8")


HOOKS = {name: hook for name, hook in vars(hooks).items() if name.startswith("dotpeen_")}
CONTRIBUTIONS = [kind for kind in vars(contributions).values() if is_dataclass(kind)]


def test_every_hook_has_its_section_with_its_parameters(plugins_page: str) -> None:
    written = re.findall(r"(?m)^### `(dotpeen_\w+\([^)]*\))`$", plugins_page)
    assert written == [
        f"{name}({', '.join(inspect.signature(hook).parameters)})" for name, hook in HOOKS.items()
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hooks_section_says_when_it_is_called_what_it_returns_and_how_it_looks(
    plugins_page: str, name: str
) -> None:
    section = re.split(r"\n#{2,3} ", plugins_page.split(f"### `{name}(", 1)[1])[0]
    assert "- **Called** " in section
    assert "- **Returns** " in section
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (signature,) = re.findall(rf"@hookimpl\ndef {name}\(([^)]*)\)", example)
    assert set(signature.split(", ")) <= set(inspect.signature(HOOKS[name]).parameters)
    ast.parse(example)
    assert f"def {name}({signature}):" in str(HOOKS[name].__doc__), "the module's example is the same"


@pytest.mark.parametrize("kind", CONTRIBUTIONS)
def test_every_field_of_a_contribution_has_its_row(plugins_page: str, kind: type) -> None:
    table = plugins_page.split(f"| `{kind.__name__}` | |\n|---|---|\n", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"(?m)^\| `(\w+)` \| ", table) == [field.name for field in fields(kind)]


def test_what_is_public_for_plugins_is_there(plugins_page: str) -> None:
    section = plugins_page.split("## What is public", 1)[1].split("\n\n| member", 1)[0]
    rows = re.findall(r"(?m)^\| `([\w.]+)` \| (.*) \|$", section)
    assert len(rows) == 8
    for module, text in rows:
        for name in re.findall(r"`(\w+)`", text):
            assert hasattr(import_module(module), name), f"{module}.{name}"


def test_the_examples_of_hooks_need_only_the_imports_above_them(plugins_page: str) -> None:
    settings = plugins_page.split("### Settings\n", 1)[1].split("### Hooks", 1)[0]
    hooks_of_page = plugins_page.split("\n## The hooks", 1)[1]
    blocks = [
        block
        for part in (settings, hooks_of_page)
        for block in re.findall(r"```python\n(.*?)```", part, re.S)
    ]
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(block, names)  # noqa: S102 - our own page
    made = [one for one in names.values() if inspect.isfunction(one) and one.__module__ == "page"]
    asked = {
        step.argval for one in made for step in dis.get_instructions(one) if step.opname == "LOAD_GLOBAL"
    }
    assert len(made) > len(HOOKS)
    assert sorted(asked - names.keys() - vars(builtins).keys()) == []


def test_what_an_entity_offers_is_there(plugins_page: str) -> None:
    table = plugins_page.split("| `Entity` | |\n|---|---|\n", 1)[1].split("\n\n", 1)[0]
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \| ", table)) == sorted(Entity.model_fields)


def test_the_limits_of_the_thread_are_the_same_on_both_pages(plugins_page: str, repository: Path) -> None:
    rest = (repository / "docs" / "rest.md").read_text(encoding="utf-8")
    for page in (plugins_page, rest):
        text = " ".join(page.split())
        assert f"{ONE_SECONDS:g} s" in text
        assert f"all of them together {ALL_SECONDS:g} s" in text
    assert f"{PLUGIN_SECONDS:g} s each for `dotpeen lookup`" in " ".join(plugins_page.split())
    assert f"gives each plugin {PLUGIN_SECONDS:g} s" in " ".join(rest.split())


def test_the_limits_written_are_the_limits(plugins_page: str) -> None:
    assert f"takes longer than {CALL_SECONDS:g} s" in plugins_page
    assert f"takes longer than {IMPORT_SECONDS:g} s for it" in plugins_page


def test_every_page_is_in_the_navigation(repository: Path) -> None:
    navigation = (repository / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(repository / "docs")) for page in (repository / "docs").rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []
