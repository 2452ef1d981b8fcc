"""What the STEP plugin declares and offers, and its settings."""

from pathlib import Path

import pytest

from dotpeen.errors import RegistryError
from dotpeen.hooks import Health
from dotpeen.plugins import PluginInfo, load_plugins
from dotpeen.registry import parse_registry

PART = '[entities.Part]\nbusiness_id = "partNumber"'


def described(text: str) -> PluginInfo:
    plugins = load_plugins(parse_registry(text)).describe()
    return next(plugin for plugin in plugins if plugin.name == "step")


def health(settings: str = "", part: str = PART) -> Health | None:
    return described(f"[plugins.step]\n{settings}\n{part}").health


def test_declares_its_reference_to_parts() -> None:
    plugin = described(f"[plugins.step]\n{PART}")
    assert [(found.entity, found.name) for found in plugin.external_references] == [("Part", "stepAp242Uuid")]
    assert plugin.health == Health(
        ok=True,
        message="products are found by partNumber; dotpeen migrate status shows whether stepAp242Uuid is ready",
    )


def test_offers_routes_and_commands_for_parts() -> None:
    plugin = described(f'[plugins.step]\n{PART}\npath = "items"')
    assert plugin.error is None
    assert "step" in plugin.commands
    assert {"/api/v1/external/items/{uuid}/cad-link", "/api/v1/external/items/{uuid}/cad-links"} <= {
        str(route).partition(" ")[2] or str(route) for route in plugin.routes
    }


def test_declares_nothing_where_there_are_no_parts() -> None:
    plugin = described("[plugins.step]")
    assert plugin.external_references == ()
    assert plugin.routes == ()
    assert plugin.health is not None
    assert not plugin.health.ok


def test_misses_a_part_number_that_the_registry_does_not_tell() -> None:
    composite = '[entities.Part]\nbusiness_id = ["partNumber", "revision"]'
    found = health(part=composite)
    assert found is not None
    assert (found.ok, "set part_number" in found.message) == (False, True)
    assert health('part_number = "partNumber"', part=composite) == health()


def test_misses_a_folder_for_uploads(tmp_path: Path) -> None:
    found = health(f'upload_dir = "{tmp_path / "nowhere"}"')
    assert found == Health(ok=False, message=f"upload_dir: {tmp_path / 'nowhere'} is no folder")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("url = 'x'", "plugins.step.url: unknown key"),
        ("max_upload = 10", "plugins.step.max_upload"),
        ("max_upload = '1 GB'", "plugins.step.max_upload"),
        ("upload_timeout = 0", "plugins.step.upload_timeout"),
        ("max_readers = 0", "plugins.step.max_readers"),
    ],
)
def test_refuses_wrong_settings(settings: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        health(settings)
