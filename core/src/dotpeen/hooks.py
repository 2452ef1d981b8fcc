"""Hooks: what a plugin can add to Dotpeen, each a function of the plugin's module marked with `@hookimpl`.

A plugin is a distribution with an entry point in the group `dotpeen`; the entry point's name is the plugin's
name in `registry.toml`, its value the module:

    [project.entry-points.dotpeen]
    crane = "dotpeen_crane.plugin"

A hook has to be in that module, or imported into it. Parameters may be left out. A plugin with settings has a
Pydantic model named `Settings` in the same module; the keys of `[plugins.NAME]` are validated with it before
anything runs, and `settings` of the examples is

    def settings(registry):
        return plugin_settings(registry, "crane", Settings)

with `plugin_settings` from `dotpeen.registry`. A hook that raises, answers with something else than what its
specification says, or does not answer in time is reported with the plugin's name and takes nothing else down.
What the hooks return is described in `dotpeen.contributions`; a plugin imports it from here, `APIRouter` from
`fastapi`, `current` from `dotpeen.cli.context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import pluggy

from dotpeen.contributions import (
    ApiRouter,
    Audience,
    DigitalModel,
    ExportDocument,
    Exporter,
    ExportRequest,
    ExternalReference,
    Health,
    Importer,
    ImportItem,
    ImportReport,
    ImportRequest,
    ModelEntity,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
)

if TYPE_CHECKING:
    import typer

    from dotpeen.database import Connection
    from dotpeen.registry import Entity, Registry

__all__ = [
    "PROJECT",
    "ApiRouter",
    "Audience",
    "DigitalModel",
    "ExportDocument",
    "ExportRequest",
    "Exporter",
    "ExternalReference",
    "Health",
    "ImportItem",
    "ImportReport",
    "ImportRequest",
    "Importer",
    "ModelEntity",
    "RecordReference",
    "ThreadEntry",
    "VerificationCheck",
    "hookimpl",
    "hookspec",
]

PROJECT: Final = "dotpeen"
"""Pluggy's project name, and the group of the entry points."""

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@hookspec
def dotpeen_external_references(registry: Registry) -> Sequence[ExternalReference]:  # type: ignore[empty-body]
    """Return the external references that the plugin contributes. Called when plugins are loaded or listed.

    Name only entities that the registry has. Each gets migration steps, lookup routes and documentation.

        @hookimpl
        def dotpeen_external_references(registry):
            if "Equipment" not in registry.entities:
                return []
            return [ExternalReference("craneId", "Equipment", "craneId")]
    """


@hookspec
def dotpeen_uuids_issued(registry: Registry, entity: Entity, count: int) -> None:
    """React to UUIDs that rows were given. Called after each batch of the backfill, once it is committed.

    The batch's worker waits for the answer, so be quick.

        @hookimpl
        def dotpeen_uuids_issued(entity, count):
            print(f"{entity.name}: {count} more")
    """


@hookspec
def dotpeen_record_changed(
    registry: Registry,
    entity: Entity,
    uuid: str,
    operation: Literal["create", "update"],
    fields: Sequence[str],
) -> None:
    """React to a record that was written through Dotpeen. Called after the commit, in a thread of its own.

    `fields` names what was set. What other applications write straight into the database is not seen here.

        @hookimpl
        def dotpeen_record_changed(entity, uuid, operation):
            print(entity.name, uuid, operation)
    """


@hookspec
def dotpeen_exporters(registry: Registry) -> Sequence[Exporter]:  # type: ignore[empty-body]
    """Return the formats that records can be exported in. Each is a command line format and a route.

        @hookimpl
        def dotpeen_exporters(registry):
            return [Exporter("crane-card", "text/plain", ".txt", entities=("Equipment",), open=card)]

    with

        def card(request):
            text = f"Crane {request.uuid}".encode()
            return ExportDocument(file_name=f"{request.uuid}.txt", chunks=iter([text]))
    """


@hookspec
def dotpeen_importers(registry: Registry) -> Sequence[Importer]:  # type: ignore[empty-body]
    """Return the formats that files can be imported from.

        @hookimpl
        def dotpeen_importers(registry):
            return [Importer("crane-card", (".txt",), read=read_cards)]

    with

        def read_cards(request):
            report = ImportReport()
            for file in request.files:
                report.add(ImportItem("unmatched", "Equipment", file.stem, where=str(file), message="no such crane"))
            return report
    """


@hookspec
def dotpeen_api_routers(registry: Registry) -> Sequence[ApiRouter]:  # type: ignore[empty-body]
    """Return FastAPI routers. The server authenticates, limits and records every request before they see it.

    router = APIRouter()

    @router.get("/equipment/{uuid}/load")
    def load(uuid: str) -> dict[str, float]:
        return {"tonnes": 3.2}

    @hookimpl
    def dotpeen_api_routers(registry):
        return [ApiRouter(router, entity="Equipment")]
    """


@hookspec
def dotpeen_commands(registry: Registry) -> Sequence[typer.Typer]:  # type: ignore[empty-body]
    """Return groups of commands; each becomes `dotpeen NAME …`, NAME being the group's name.

    app = typer.Typer(name="crane", help="Cranes.")

    @app.command("list")
    def list_cranes(context: typer.Context) -> None:
        site = current(context)
        site.out.print(settings(site.registry).folder)

    @hookimpl
    def dotpeen_commands(registry):
        return [app]
    """


@hookspec
def dotpeen_verification_checks(registry: Registry, entity: Entity) -> Sequence[VerificationCheck]:  # type: ignore[empty-body]
    """Return checks of an entity's rows. Called for each entity that `dotpeen migrate verify` looks at.

    def hooked(connection):
        row = connection.execute('SELECT count(*) FROM public."Equipment" WHERE "hook" IS NULL').fetchone()
        return [f"{row[0]} cranes have no hook"] if row[0] else []

    @hookimpl
    def dotpeen_verification_checks(entity):
        return [VerificationCheck("cranes have hooks", hooked)] if entity.name == "Equipment" else []
    """


@hookspec
def dotpeen_thread_entries(  # type: ignore[empty-body]
    registry: Registry, connection: Connection, entity: Entity, uuid: str
) -> Sequence[ThreadEntry]:
    """Return what the plugin knows about a record: an entry of its digital thread each.

    Called while somebody waits for `resolve` or `dotpeen lookup`, with a session that can only read.

        @hookimpl
        def dotpeen_thread_entries(connection, entity, uuid):
            return [ThreadEntry("inspection", "2026-03", at=None)] if entity.name == "Equipment" else []
    """


@hookspec
def dotpeen_resolve_uuid(  # type: ignore[empty-body]
    registry: Registry, connection: Connection, uuid: str
) -> Sequence[RecordReference]:
    """Return the records that a UUID leads to which is no record's own, such as that of a CAD model's revision.

    Called by `resolve` and `dotpeen lookup` when no record has the UUID, with a session that can only read.

        @hookimpl
        def dotpeen_resolve_uuid(connection, uuid):
            row = connection.execute("SELECT equipment FROM crane.card WHERE uuid = %s", [uuid]).fetchone()
            return [RecordReference("Equipment", str(row[0]), kind="card")] if row else []
    """


@hookspec
def dotpeen_digital_models(  # type: ignore[empty-body]
    registry: Registry, connection: Connection, entity: Entity, uuid: str
) -> Sequence[DigitalModel]:
    """Return the CAD models of a record that are current, with the entities in them that have UUIDs.

    Called by exporters that refer to CAD models (`ExportRequest.digital_models`), with a session that can only read.

        @hookimpl
        def dotpeen_digital_models(connection, entity, uuid):
            query = "SELECT hook_uuid, drawing FROM crane.model WHERE equipment = %s ORDER BY hook_uuid"
            return [
                DigitalModel("Crane", drawing, "STEPAP242", entities=(ModelEntity(str(hook), "pmi", "HOOK"),))
                for hook, drawing in connection.execute(query, [uuid])
            ]
    """


@hookspec
def dotpeen_health(registry: Registry) -> Health:  # type: ignore[empty-body]
    """Tell whether the plugin can do its work. Called by `dotpeen plugins`; change nothing.

    @hookimpl
    def dotpeen_health(registry):
        folder = settings(registry).folder
        return Health(folder.is_dir(), f"folder {folder}")
    """
