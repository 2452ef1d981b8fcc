"""A UUID names one record: one that anything else has, had, or is given by the same files, is given to none.

All entities of the registry with UUIDs are looked at, whether QIF has a place for them or not, and the ledger of what
was issued before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.records import load_shapes
from dotpeen.registry import Registry
from dotpeen_qif.importing.targets import ROLES, Role, Target, Targets
from dotpeen_qif.mapping import Source

STAGED: Final[tuple[Role, ...]] = tuple(role for role in ROLES if role != "result")
"""Roles with a row for each mention."""


@dataclass(frozen=True)
class _Claim:
    """Somebody else who may have the UUIDs of rows `s`."""

    source: sql.Composable
    condition: sql.Composable
    message: sql.Composable


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
            self._refuse(target.staged, sql.SQL("s.state IS NULL"), [self._given_twice(target, "given")])

    def check(self, target: Target, table: sql.Identifier, new: sql.Composable) -> None:
        """Let rows `s` that a condition says become records be conflicts where their UUID is another record's."""
        self._refuse(table, new, self._others(target))

    def check_measured(self, target: Target, table: sql.Identifier, new: sql.Composable) -> None:
        """The same for measurements, also against what the files say of others and leave out."""
        self._refuse(table, new, [self._given_twice(target, "uuid"), *self._others(target)])

    def _others(self, target: Target) -> list[_Claim]:
        """Who else may have a UUID: the other entities' records, and those that had it once."""
        claims = [
            _Claim(
                other.rows("t"),
                other.has_uuid("t", sql.SQL("s.uuid")),
                sql.SQL("pg_catalog.format('the UUID %s is that of a record of %s', s.uuid, {})").format(
                    sql.Literal(other.shape.entity.name)
                ),
            )
            for other in self._sources
            if other.shape.entity.name != target.entity
        ]
        if self._ledger:
            claims.append(
                _Claim(
                    sql.SQL("dotpeen.issued AS i"),
                    sql.SQL("i.uuid = s.uuid AND (i.current OR i.entity <> {})").format(
                        sql.Literal(target.entity)
                    ),
                    sql.SQL(
                        "pg_catalog.format('the UUID %s was issued to a record of %s', s.uuid, i.entity)"
                    ),
                )
            )
        return claims

    @staticmethod
    def _given_twice(target: Target, column: str) -> _Claim:
        uuid = sql.Identifier("s", column)
        return _Claim(
            sql.SQL(
                "(SELECT DISTINCT ON (g.given) g.* FROM pg_temp.qif_given AS g WHERE g.role <> {}"
                " ORDER BY g.given, g.n) AS o JOIN pg_temp.qif_document AS d ON d.file = o.file"
            ).format(sql.Literal(target.role)),
            sql.SQL("o.given = {}").format(uuid),
            sql.SQL(
                "pg_catalog.format('the UUID %s is that of %s %s, too: %s:%s', {}, o.entity, o.label,"
                " d.file_name, o.line)"
            ).format(uuid),
        )

    def _refuse(self, table: sql.Identifier, new: sql.Composable, claims: Sequence[_Claim]) -> None:
        # Conflicts are rare: one question for all of them, over UUIDs alone, and the rest where there is one.
        row = self._connection.execute(
            sql.SQL("WITH s AS MATERIALIZED (SELECT {} FROM {} AS s WHERE {}) SELECT {}").format(
                sql.SQL("s.uuid" if table == _READY else "s.given, s.uuid"),
                table,
                new,
                sql.SQL(" OR ").join(
                    sql.SQL("(SELECT pg_catalog.count(*) FROM s JOIN {} ON {}) > 0").format(
                        claim.source, claim.condition
                    )
                    for claim in claims
                ),
            )
        ).fetchone()
        if row is None or not row[0]:
            return
        columns = sql.SQL("" if table == _READY else ", state = NULL")
        for claim in claims:
            self._connection.execute(
                sql.SQL(
                    "UPDATE {} AS s SET outcome = 'conflicting', message = {}{} FROM {} WHERE {} AND {}"
                ).format(table, claim.message, columns, claim.source, new, claim.condition)
            )


_READY: Final = sql.Identifier("pg_temp", "qif_ready")
