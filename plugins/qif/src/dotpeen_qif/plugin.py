"""The hooks of this plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dotpeen.database import Connection
from dotpeen.hooks import Exporter, Health, Importer, RecordReference, ThreadEntry, hookimpl
from dotpeen.registry import Entity, Registry, plugin_settings
from dotpeen_qif.settings import Settings

if TYPE_CHECKING:
    import typer

NAME = "qif"


def settings(registry: Registry) -> Settings:
    """Return the settings of `[plugins.qif]`. Raises `RegistryError`."""
    return plugin_settings(registry, NAME, Settings)


@hookimpl
def dotpeen_exporters(registry: Registry) -> Sequence[Exporter]:
    """Offer plans and results as QIF documents."""
    from dotpeen_qif.exporting import exporters

    return exporters(registry, settings(registry))


@hookimpl
def dotpeen_importers(registry: Registry) -> Sequence[Importer]:
    """Take plans and results from QIF documents."""
    from dotpeen_qif.importing.importer import importers

    return importers(registry, settings(registry))


@hookimpl
def dotpeen_commands(registry: Registry) -> Sequence[typer.Typer]:
    """Offer `dotpeen qif`."""
    from dotpeen_qif.commands import app

    return [app]


@hookimpl
def dotpeen_thread_entries(connection: Connection, entity: Entity, uuid: str) -> Sequence[ThreadEntry]:
    """Name the QIF documents that a record came in."""
    from dotpeen_qif import store

    return [
        # Partners see these, too: the name of a file on the site's machines is none of their business.
        ThreadEntry("qif-document", document.qpid, document.imported_at)
        for document in store.documents(connection, uuid)
    ]


@hookimpl
def dotpeen_resolve_uuid(connection: Connection, uuid: str) -> Sequence[RecordReference]:
    """Lead from the QPId of an imported document, or of its results, to the part that it is about."""
    from dotpeen_qif import store

    return [RecordReference(part.entity, part.uuid, kind=part.kind) for part in store.parts(connection, uuid)]


@hookimpl
def dotpeen_health(registry: Registry) -> Health:
    """Tell whether the schemas are where the settings say."""
    folder = settings(registry).schema_dir
    if folder is None:
        return Health(ok=True, message="no schema_dir: documents can't be validated against the QIF schemas")
    document = folder / "QIFApplications" / "QIFDocument.xsd"
    if not document.is_file():
        return Health(ok=False, message=f"schema_dir: no {document}")
    return Health(ok=True, message=f"schemas in {folder}")
