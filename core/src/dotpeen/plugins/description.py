"""What `dotpeen plugins` says of a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from dotpeen.contributions import ApiRouter, ExternalReference, Health

if TYPE_CHECKING:
    from dotpeen.plugins.plugins import Plugins

T = TypeVar("T")
_BELOW: Final = {"external": "/api/v1/external", "internal": "/api"}


@dataclass(frozen=True)
class PluginInfo:
    """One plugin as `dotpeen plugins` shows it."""

    name: str
    distribution: str
    version: str
    enabled: bool
    hooks: tuple[str, ...] = ()
    external_references: tuple[ExternalReference, ...] = ()
    exporters: tuple[str, ...] = ()
    """Formats."""
    importers: tuple[str, ...] = ()
    """Formats."""
    commands: tuple[str, ...] = ()
    """Groups: `dotpeen NAME …`."""
    routes: tuple[str, ...] = ()
    """As `GET /api/v1/external/equipment/{uuid}/load`."""
    hidden_routes: tuple[str, ...] = ()
    """Of those, written in the same way, the ones that the server doesn't serve: one of ours has the path."""
    health: Health | None = None
    """None when the plugin doesn't say, or isn't enabled."""
    error: str | None = None
    """Why it could not be loaded or what of its hooks failed, a line each."""


def describe(plugins: Plugins) -> tuple[PluginInfo, ...]:
    """Return every installed plugin, sorted by name; asks the enabled ones how they are."""
    references = _of_each(plugins.external_references())
    exporters = _of_each(plugins.exporters())
    importers = _of_each(plugins.importers())
    commands = _of_each(plugins.commands())
    routers = _of_each(plugins.api_routers())
    health = dict(plugins.call("dotpeen_health"))
    return tuple(
        PluginInfo(
            name=name,
            distribution=entry.dist.name if entry.dist else "",
            version=entry.dist.version if entry.dist else "",
            enabled=name in plugins.enabled,
            hooks=plugins.hooks(name),
            external_references=tuple(references.get(name, ())),
            exporters=tuple(one.format for one in exporters.get(name, ())),
            importers=tuple(one.format for one in importers.get(name, ())),
            commands=tuple(str(one.info.name) for one in commands.get(name, ())),
            routes=tuple(route for one in routers.get(name, ()) for route in _routes(one)),
            health=health.get(name),
            error="\n".join(str(error) for error in plugins.errors(name)) or None,
        )
        for name, entry in sorted(plugins.installed.items())
    )


def _of_each(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for plugin, value in pairs:
        found.setdefault(plugin, []).append(value)
    return found


def _routes(contributed: ApiRouter) -> list[str]:
    below = _BELOW[contributed.surface]
    found = []
    for route in contributed.router.routes:
        methods = ", ".join(sorted(getattr(route, "methods", None) or ())) or "any"
        found.append(f"{methods} {below}{getattr(route, 'path', '')}")
    return found
