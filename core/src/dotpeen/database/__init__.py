"""Connections, the embedded server, Dotpeen's own schema, and reading the catalog."""

from dotpeen.database.catalog import (
    Catalog,
    Column,
    Constraint,
    ForeignKey,
    Index,
    Partition,
    Table,
    Trigger,
    read_catalog,
)
from dotpeen.database.connect import Connection, connect, resolve_url
from dotpeen.database.plugin_schema import PluginSchema

__all__ = [
    "Catalog",
    "Column",
    "Connection",
    "Constraint",
    "ForeignKey",
    "Index",
    "Partition",
    "PluginSchema",
    "Table",
    "Trigger",
    "connect",
    "read_catalog",
    "resolve_url",
]
