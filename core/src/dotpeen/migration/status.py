"""Status: the view `dotpeen.progress` as values, for entities that have not begun, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg.rows import class_row

from dotpeen.database import Connection
from dotpeen.database.schema import is_installed
from dotpeen.migration.references import Contributed
from dotpeen.migration.state import load_targets
from dotpeen.migration.verification_references import reference_state
from dotpeen.registry import Entity, Registry


@dataclass(frozen=True)
class EntityProgress:
    """One row of `dotpeen.progress`; rows are of the backfill."""

    entity: str
    storage: str
    stage: str
    rows_total: int | None = None
    rows_done: int | None = None
    rows_todo: int | None = None
    percent: float | None = None
    rows_per_second: float | None = None
    eta: timedelta | None = None
    batch_rows: int | None = None
    workers: int = 0
    waiting_for: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    """How far each external reference is, by its name: `ready`, `no index`, `no column` or `not migrated`."""


def read_progress(connection: Connection, entities: Iterable[Entity]) -> list[EntityProgress]:
    """Return how far each entity is, in the order given."""
    known: dict[str, EntityProgress] = {}
    if is_installed(connection):
        with connection.cursor(row_factory=class_row(EntityProgress)) as cursor:
            rows = cursor.execute(
                "SELECT entity, storage, stage, rows_total, rows_done, rows_todo, percent::float8, "
                "rows_per_second::float8, eta, batch_rows, workers, waiting_for, started_at, finished_at"
                " FROM dotpeen.progress"
            )
            known = {row.entity: row for row in rows}
    return [
        known.get(entity.name) or EntityProgress(entity.name, entity.uuid.storage, "not begun")
        for entity in entities
    ]


def read_references(
    connection: Connection, registry: Registry, entities: Iterable[Entity], contributed: Contributed
) -> dict[str, dict[str, str]]:
    """Return how far each external reference is that plugins contribute, by entity and name."""
    concerned = {one.entity for _, one in contributed}
    _, targets = load_targets(
        connection, registry, [entity for entity in entities if entity.name in concerned], contributed
    )
    return {
        name: {one.name: reference_state(target, one) for one in target.declared}
        for name, target in targets.items()
        if target is not None
    }
