"""CAD models for exporters: what the site's plugins know of a record, asked for when an exporter wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from dotpeen.contributions import DigitalModel
from dotpeen.database import connect
from dotpeen.plugins import Plugins
from dotpeen.registry import Entity

Models: TypeAlias = Callable[[Entity, str], Sequence[DigitalModel]]
"""Takes an entity and a record's UUID."""


def models_of(plugins: Plugins, url: str) -> Models:
    """Return a function that asks the plugins. It raises `psycopg.Error` where there is no database.

    It has a session of its own: one that a plugin doesn't let go of is closed, and the export's has to stay.
    """

    def ask(entity: Entity, uuid: str) -> Sequence[DigitalModel]:
        if not plugins.implements("dotpeen_digital_models"):
            return ()
        connection = connect(url, purpose="export")
        try:
            return [model for _, model in plugins.digital_models(connection, entity, uuid)]
        finally:
            connection.close()

    return ask
