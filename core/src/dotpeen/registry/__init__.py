"""The registry: entities, identifiers, relations and plugin settings, from `registry.toml`."""

from dotpeen.registry.load import load_registry, parse_registry, plugin_settings
from dotpeen.registry.models import Entity, Registry, Relation, TableName, UuidColumn
from dotpeen.registry.settings import (
    ApiSettings,
    DatabaseSettings,
    MigrationSettings,
    PluginSettings,
    Site,
)

__all__ = [
    "ApiSettings",
    "DatabaseSettings",
    "Entity",
    "MigrationSettings",
    "PluginSettings",
    "Registry",
    "Relation",
    "Site",
    "TableName",
    "UuidColumn",
    "load_registry",
    "parse_registry",
    "plugin_settings",
]
