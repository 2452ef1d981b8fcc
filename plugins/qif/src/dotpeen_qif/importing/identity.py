"""A UUID names one record: one that anything else has, had, or is given by the same files, is given to none.

All entities of the registry with UUIDs are looked at, whether QIF has a place for them or not, and the ledger of what
was issued before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.records import load_shapes
from dotpeen.registry import Registry
from dotpeen_qif.importing.targets import ROLES, Role, Target, Targets
from dotpeen_qif.mapping import Source

STAGED: Final[tuple[Role, ...]] = tuple(role for role in ROLES if role != "result")
"""Roles with a row for each mention."""


class Identity:
    """The statements that find UUIDs which are somebody else's."""

    def __init__(self, connection: Connection, registry: Registry, targets: Targets) -> None:
        self._connection = connection
        self._targets = targets
        shapes = load_shapes(connection, registry).values()
        self._sources: Sequence[Source] = [
            Source(shape, (), {}, (), {}) for shape in shapes if shape.ready is None
        ]
        row = connection.execute("SELECT pg_catalog.to_regclass('dotpeen.issued') IS NOT NULL").fetchone()
        self._ledger = row is not None and bool(row[0])

    def among_files(self) -> None:
        """A UUID that the files give to records of two kinds is a conflict for all that the MES does not have."""
        known = [self._targets[role] for role in STAGED if role in self._targets]
        self._connection.execute(
            sql.SQL("CREATE TEMP TABLE qif_given ON COMMIT DROP AS {}").format(
                sql.SQL(" UNION ALL ").join(
                    sql.SQL(
                        "SELECT s.given, {role} AS role, {entity} AS entity, s.label, s.file, s.line, s.n FROM {staged}"
                        " AS s WHERE s.given IS NOT NULL"
                    ).format(role=sql.Literal(one.role), entity=sql.Literal(one.entity), staged=one.staged)
                    for one in known
                )
            )
        )
        self._connection.execute("ANALYZE pg_temp.qif_given")
        for target in known:
            self._given_twice(target, target.staged, sql.SQL("s.given"), sql.SQL("s.state IS NULL"))

    def check(self, target: Target, table: sql.Identifier, new: sql.Composable) -> None:
        """Let rows `s` that a condition says become records be conflicts where their UUID is another record's."""
        for other in self._sources:
            name = other.shape.entity.name
            if name == target.entity:
                continue
            self._refuse(
                table,
                sql.SQL("pg_catalog.format('the UUID %s is that of a record of %s', s.uuid, {})").format(
                    sql.Literal(name)
                ),
                other.rows("t"),
                sql.SQL("{} AND {}").format(new, other.has_uuid("t", sql.SQL("s.uuid"))),
            )
        if self._ledger:
            self._refuse(
                table,
                sql.SQL("pg_catalog.format('the UUID %s was issued to a record of %s', s.uuid, i.entity)"),
                sql.SQL("dotpeen.issued AS i"),
                sql.SQL("{} AND i.uuid = s.uuid AND (i.current OR i.entity <> {})").format(
                    new, sql.Literal(target.entity)
                ),
            )

    def check_measured(self, target: Target, table: sql.Identifier, new: sql.Composable) -> None:
        """The same for measurements, also against what the files say of others and leave out."""
        self._given_twice(target, table, sql.SQL("s.uuid"), new)
        self.check(target, table, new)

    def _given_twice(
        self, target: Target, table: sql.Identifier, uuid: sql.Composable, new: sql.Composable
    ) -> None:
        self._refuse(
            table,
            sql.SQL(
                "pg_catalog.format('the UUID %s is that of %s %s, too: %s:%s', {}, o.entity, o.label,"
                " d.file_name, o.line)"
            ).format(uuid),
            sql.SQL(
                "(SELECT DISTINCT ON (g.given) g.* FROM pg_temp.qif_given AS g WHERE g.role <> {}"
                " ORDER BY g.given, g.n) AS o JOIN pg_temp.qif_document AS d ON d.file = o.file"
            ).format(sql.Literal(target.role)),
            sql.SQL("{} AND o.given = {}").format(new, uuid),
        )

    def _refuse(
        self,
        table: sql.Identifier,
        message: sql.Composable,
        source: sql.Composable,
        condition: sql.Composable,
    ) -> None:
        columns = sql.SQL("" if table == _READY else ", state = NULL")
        self._connection.execute(
            sql.SQL("UPDATE {} AS s SET outcome = 'conflicting', message = {}{} FROM {} WHERE {}").format(
                table, message, columns, source, condition
            )
        )


_READY: Final = sql.Identifier("pg_temp", "qif_ready")
