"""Hooks: what a plugin can add to Dotpeen, each a function of the plugin's module marked with `@hookimpl`.

A plugin is a distribution with an entry point in the group `dotpeen`; the entry point's name is the plugin's
name in `registry.toml`, its value the module:

    [project.entry-points.dotpeen]
    crane = "dotpeen_crane"

Parameters may be left out. A plugin with settings has a Pydantic model named `Settings` in its module; the
keys of `[plugins.NAME]` are validated with it before anything runs, and `settings` of the examples is

    def settings(registry):
        return plugin_settings(registry, "crane", Settings)

with `plugin_settings` from `dotpeen.registry`. A hook that raises is reported with the plugin's name and
takes nothing else down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pluggy

if TYPE_CHECKING:
    from dotpeen.database import Connection
    from dotpeen.registry import Entity, Registry

PROJECT: Final = "dotpeen"
"""Pluggy's project name, and the group of the entry points."""

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@dataclass(frozen=True)
class ExternalReference:
    """An identifier that another system gives to the records of an entity, such as `erpPartId` to parts."""

    name: str
    entity: str
    column: str
    type: Literal["text", "uuid"] = "text"


@dataclass(frozen=True)
class VerificationCheck:
    """A question to the database; `run` returns one line per thing that is wrong, none when all is well."""

    name: str
    run: Callable[[Connection], Sequence[str]]


@dataclass(frozen=True)
class Health:
    """How a plugin is; `message` tells a person what it found or what to do."""

    ok: bool
    message: str = ""


@hookspec
def dotpeen_external_references(registry: Registry) -> Sequence[ExternalReference]:  # type: ignore[empty-body]
    """Return the external references that the plugin contributes. Called when plugins are loaded or listed.

    Name only entities that the registry has.

        @hookimpl
        def dotpeen_external_references(registry):
            if "Equipment" not in registry.entities:
                return []
            return [ExternalReference("craneId", "Equipment", "craneId")]
    """


@hookspec
def dotpeen_uuids_issued(entity: Entity, count: int) -> None:
    """React to UUIDs that rows were given. Called after each batch of the backfill, once it is committed.

    The batch's worker waits for the answer, so be quick.

        @hookimpl
        def dotpeen_uuids_issued(entity, count):
            issued.labels(entity.name).inc(count)
    """


@hookspec
def dotpeen_verification_checks(entity: Entity) -> Sequence[VerificationCheck]:  # type: ignore[empty-body]
    """Return checks of an entity's rows. Called for each entity that `dotpeen migrate verify` looks at.

    def hooked(connection):
        row = connection.execute('SELECT count(*) FROM "Equipment" WHERE "hook" IS NULL').fetchone()
        return [f"{row[0]} cranes have no hook"] if row[0] else []

    @hookimpl
    def dotpeen_verification_checks(entity):
        return [VerificationCheck("cranes have hooks", hooked)] if entity.name == "Equipment" else []
    """


@hookspec
def dotpeen_health(registry: Registry) -> Health:  # type: ignore[empty-body]
    """Tell whether the plugin can do its work. Called by `dotpeen plugins`; change nothing.

    @hookimpl
    def dotpeen_health(registry):
        folder = settings(registry).folder
        return Health(folder.is_dir(), f"folder {folder}")
    """
