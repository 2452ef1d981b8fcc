"""The settings of the QIF plugin."""

from pathlib import Path

import pytest

from dotpeen.errors import RegistryError
from dotpeen.hooks import Health
from dotpeen.plugins import load_plugins
from dotpeen.registry import parse_registry


def health(settings: str) -> Health | None:
    plugins = load_plugins(parse_registry(f"[plugins.qif]\n{settings}"))
    return {plugin.name: plugin.health for plugin in plugins.describe()}["qif"]


def test_is_well_without_schemas() -> None:
    assert health("") == Health(
        ok=True, message="no schema_dir: documents can't be validated against the QIF schemas"
    )


def test_misses_schemas_that_are_not_there(tmp_path: Path) -> None:
    found = health(f"schema_dir = '{tmp_path}'")
    assert found == Health(ok=False, message=f"schema_dir: no {tmp_path}/QIFApplications/QIFDocument.xsd")


def test_finds_the_published_schemas(standards: Path) -> None:
    folder = standards / "qif" / "xsd"
    assert health(f"schema_dir = '{folder}'") == Health(ok=True, message=f"schemas in {folder}")


def test_refuses_other_settings() -> None:
    with pytest.raises(RegistryError, match=r"registry.toml:2: plugins.qif.schemadir: unknown key"):
        health("schemadir = 'x'")
