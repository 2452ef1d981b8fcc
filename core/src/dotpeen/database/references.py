"""What the database remembers of external references: `dotpeen.external_reference`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.rows import class_row

from dotpeen.database.connect import Connection


@dataclass(frozen=True)
class RememberedReference:
    """One row of `dotpeen.external_reference`."""

    entity: str
    name: str
    plugin: str
    column: str
    type: Literal["text", "uuid"]
    storage: Literal["column", "sidecar"]
    before: Mapping[str, Any]
    """What the table had of it before the first step: `column`, `unique`."""

    @property
    def created(self) -> bool:
        """Whether the column is Dotpeen's to drop, and to hide while no enabled plugin declares it."""
        return self.storage == "column" and not self.before.get("column")


def remembered_references(connection: Connection) -> dict[tuple[str, str], RememberedReference]:
    """Return them by entity and name; none where schema `dotpeen` is older than they are, or may not be read."""
    row = connection.execute(
        "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass('dotpeen.external_reference'), 'SELECT')"
    ).fetchone()
    if row is None or not row[0]:
        return {}
    with connection.cursor(row_factory=class_row(RememberedReference)) as cursor:
        rows = cursor.execute(
            'SELECT entity, name, plugin, column_name AS "column", type, storage, before'
            " FROM dotpeen.external_reference ORDER BY registered_at, name"
        ).fetchall()
    return {(row.entity, row.name): row for row in rows}
