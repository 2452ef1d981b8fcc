"""What the ERP plugin declares."""

import pytest

from dotpeen.errors import RegistryError
from dotpeen.hooks import Health
from dotpeen.plugins import PluginInfo, load_plugins
from dotpeen.registry import parse_registry


def described(text: str) -> PluginInfo:
    plugins = load_plugins(parse_registry(text)).describe()
    return next(plugin for plugin in plugins if plugin.name == "erp")


def test_declares_its_reference_to_parts() -> None:
    plugin = described("[plugins.erp]\n[entities.Part]")
    assert [(found.entity, found.name) for found in plugin.external_references] == [("Part", "erpPartId")]
    assert plugin.health == Health(
        ok=True, message="erpPartId of parts: dotpeen migrate status shows whether it is ready"
    )


def test_declares_nothing_where_there_are_no_parts() -> None:
    plugin = described("[plugins.erp]")
    assert plugin.external_references == ()
    assert plugin.health is not None
    assert not plugin.health.ok


def test_refuses_settings() -> None:
    with pytest.raises(RegistryError, match=r"plugins.erp.url: unknown key"):
        described("[plugins.erp]\nurl = 'x'")
