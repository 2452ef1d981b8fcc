"""What a partner's scopes are good for: scopes to write that change no column are told of."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dotpeen.cli.context import Context
from dotpeen.errors import ConfigurationError
from dotpeen.partners import Scope
from dotpeen.partners.partner import Partner
from dotpeen.partners.scopes import EVERY_ENTITY


def warn(shared: Context, partner: Partner) -> None:
    """Say which scopes change no column, as the registry lets no partner do it, and which routes take them though."""
    try:
        entities = shared.registry.entities
    except ConfigurationError:
        return  # partners are looked after without a registry, too
    for scope in map(Scope.parse, partner.scopes) if partner.revoked_at is None else ():
        named = [scope.entity] if scope.entity != EVERY_ENTITY else list(entities)
        registered = [entities[name] for name in named if name in entities]
        if scope.verb != "write" or not registered or any(entity.writable for entity in registered):
            continue
        where = f"[entities.{scope.entity}]" if scope.entity != EVERY_ENTITY else "no entity"
        lacks = "has no" if scope.entity != EVERY_ENTITY else "has a"
        because = f"{where} of {shared.registry.file} {lacks} `writable`."
        routes = ", ".join(_routes(shared, named))
        said = (
            f"{scope} changes no column of its own accord: {because} Routes of plugins take it: {routes}."
            if routes
            else f"{scope} allows nothing yet: {because}"
        )
        shared.err.print(
            f"{partner.name}: {said}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )


def _routes(shared: Context, entities: Collection[str]) -> Iterator[str]:
    """Yield the routes of plugins for partners that need a scope to write one of the entities, method and path."""
    from dotpeen.api.plugin_routes import mount  # the server's, which few commands need

    try:
        contributed = shared.plugins.api_routers()
    except ConfigurationError:
        return  # `dotpeen check` and the server tell of it
    for one in mount(contributed):
        if one.contributed.surface == "external" and one.contributed.entity in entities:
            for path, methods in one.paths:
                yield from (f"{method} {path}" for method in sorted(methods - {"GET", "HEAD"}))
