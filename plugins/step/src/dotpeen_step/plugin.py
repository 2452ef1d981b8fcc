"""The hooks of this plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dotpeen.database import Connection
from dotpeen.hooks import (
    ApiRouter,
    DigitalModel,
    Exporter,
    ExternalReference,
    Health,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
    hookimpl,
)
from dotpeen.registry import Entity, Registry, plugin_settings
from dotpeen_step.settings import Settings

if TYPE_CHECKING:
    import typer

NAME = "step"
ENTITY = "Part"


def settings(registry: Registry) -> Settings:
    """Return the settings of `[plugins.step]`. Raises `RegistryError`."""
    return plugin_settings(registry, NAME, Settings)


@hookimpl
def dotpeen_external_references(registry: Registry) -> Sequence[ExternalReference]:
    """Declare `stepAp242Uuid`, the UUID that a part's current revision has in its STEP AP242 model."""
    if ENTITY not in registry.entities:
        return []
    return [ExternalReference(name="stepAp242Uuid", entity=ENTITY, column="stepAp242Uuid", type="uuid")]


@hookimpl
def dotpeen_exporters(registry: Registry) -> Sequence[Exporter]:
    """Offer parts as STEP files."""
    if ENTITY not in registry.entities:
        return []
    from dotpeen_step.exporting.exporters import exporters

    found = settings(registry)
    return exporters(ENTITY, found.part, number=found.part_number)


@hookimpl
def dotpeen_commands(registry: Registry) -> Sequence[typer.Typer]:
    """Offer `dotpeen step`."""
    from dotpeen_step.commands import app

    return [app]


@hookimpl
def dotpeen_api_routers(registry: Registry) -> Sequence[ApiRouter]:
    """Offer links of parts to partners."""
    if ENTITY not in registry.entities:
        return []
    from dotpeen_step.linking.routes import routers

    return routers(registry, settings(registry))


@hookimpl
def dotpeen_thread_entries(connection: Connection, entity: Entity, uuid: str) -> Sequence[ThreadEntry]:
    """Name the CAD revisions of a part."""
    from dotpeen_step.linking import thread

    return thread.entries(connection, uuid) if entity.name == ENTITY else []


@hookimpl
def dotpeen_resolve_uuid(registry: Registry, connection: Connection, uuid: str) -> Sequence[RecordReference]:
    """Lead from the UUID of a CAD revision, or of a face or tolerance in a linked file, to its parts."""
    from dotpeen_step.linking import thread

    return thread.resolve(connection, uuid) if ENTITY in registry.entities else []


@hookimpl
def dotpeen_digital_models(connection: Connection, entity: Entity, uuid: str) -> Sequence[DigitalModel]:
    """Hand on the CAD model of a part, with the dimensions and tolerances in it that have UUIDs."""
    from dotpeen_step.linking.models import models_of

    return models_of(connection, uuid) if entity.name == ENTITY else []


@hookimpl
def dotpeen_verification_checks(entity: Entity) -> Sequence[VerificationCheck]:
    """Check that external references and links say the same, and that linked parts are there."""
    from dotpeen_step.linking import thread

    return thread.checks(entity)


@hookimpl
def dotpeen_health(registry: Registry) -> Health:
    """Tell whether the site has parts, and a place for what is uploaded."""
    if ENTITY not in registry.entities:
        return Health(ok=False, message=f"no entity {ENTITY}: stepAp242Uuid has no place")
    found = settings(registry)
    entity = registry.entities[ENTITY]
    if found.upload_dir is not None and not found.upload_dir.is_dir():
        return Health(ok=False, message=f"upload_dir: {found.upload_dir} is no folder")
    if found.part_number is None and len(entity.business_id) != 1:
        return Health(
            ok=False,
            message=f"the registry tells no part number of {ENTITY}: set part_number in [plugins.step] to its column",
        )
    number = found.part_number or entity.business_id[0]
    return Health(
        ok=True,
        message=f"products are found by {number}; dotpeen migrate status shows whether stepAp242Uuid is ready",
    )
