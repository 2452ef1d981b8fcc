"""Which routes of plugins the server would not serve, because one of ours has their path: known without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from starlette.routing import compile_path

from dotpeen.api.exports import Exports
from dotpeen.api.external import External
from dotpeen.api.internal import Internal
from dotpeen.api.plugin_routes import is_taken, mount
from dotpeen.api.reading import Reading
from dotpeen.api.routing import Routes
from dotpeen.plugins import Plugins
from dotpeen.records import Shapes
from dotpeen.registry import Entity, Registry


def hidden_routes(registry: Registry, plugins: Plugins) -> dict[str, tuple[str, ...]]:
    """Return them by plugin, each as `GET /api/v1/external/equipment/{uuid}`; logs routers that can't be served."""
    ours = _ours(registry, plugins)
    found: dict[str, list[str]] = {}
    for one in mount(plugins.api_routers()):
        for path, methods in one.paths:
            template = compile_path(path)[1]
            for method in sorted(methods):
                if is_taken(ours, method, template):
                    found.setdefault(one.plugin, []).append(f"{method} {template}")
    return {plugin: tuple(routes) for plugin, routes in found.items()}


@dataclass(frozen=True)
class _Declared:
    """An entity of the registry in the place of its shape: paths come from the registry alone."""

    entity: Entity


@dataclass(frozen=True)
class _Unread:
    """Stands where records would be read, for handlers that nobody calls."""

    shapes: Mapping[str, _Declared]


def _ours(registry: Registry, plugins: Plugins) -> Routes:
    declared: Any = {name: _Declared(entity) for name, entity in registry.entities.items()}
    reading = cast("Reading", _Unread(declared))
    exports = Exports("", registry, plugins, at_once=1, limit=1)
    return Routes(
        [*External(reading).routes(), *Internal(reading).routes(), *exports.routes(cast("Shapes", declared))]
    )
