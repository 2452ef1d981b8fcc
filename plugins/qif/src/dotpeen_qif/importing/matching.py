"""Finds which records of the MES the files speak of: by UUID first, then by what people call them; nothing is guessed.

What can't be decided gets the outcome `conflicting` or `unmatched` and a message in its row.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.identity import Identity
from dotpeen_qif.importing.isolation import fitting
from dotpeen_qif.importing.targets import Role, Target, Targets
from dotpeen_qif.importing.values import LINKS, fillers, lacking_value, linked, said


class Matching:
    """The statements that match the rows of one role after the other."""

    def __init__(
        self, connection: Connection, targets: Targets, choices: Choices, identity: Identity
    ) -> None:
        self._connection = connection
        self._targets = targets
        self._choices = choices
        self._identity = identity

    def run(self, statement: sql.SQL | sql.Composed) -> None:
        """Run a statement without parameters: `%` in it is a character like any other."""
        self._connection.execute(statement)

    def fitting(self, role: Role) -> None:
        """Leave out what no column can hold."""
        fitting(self._connection, self._targets[role])

    def by_uuid(self, role: Role) -> None:
        """Find the records that have the UUIDs of the files."""
        target = self._targets[role]
        self._run(
            "UPDATE {staged} AS s SET uuid = s.given, state = 'found' FROM {rows} WHERE {has} AND s.uuid IS NULL",
            target,
            rows=target.rows("t"),
            has=target.has_uuid(sql.SQL("s.given")),
        )

    def by_key(
        self,
        role: Role,
        pairs: Sequence[tuple[str, str]],
        *,
        within: Role | None = None,
        certain: bool = True,
    ) -> None:
        """Find records by columns: pairs of what documents call the column and the column of the temporary table.

        `within` narrows them to those that belong to the record found of another role. With `certain`, a record that
        has another UUID than the file says is a conflict; without, the key isn't asked where the file has a UUID.
        """
        target = self._targets[role]
        pairs = [(name, column) for name, column in pairs if name in target.columns]
        if not pairs:
            return
        conditions: list[sql.Composable] = [
            sql.SQL("{} = {}").format(self._comparable(target, name), sql.Identifier("s", column))
            for name, column in pairs
        ]
        source: sql.Composable = target.rows("t")
        if within is not None:
            parent = self._targets[within]
            source = sql.SQL("({} JOIN {} ON {})").format(
                source, parent.rows("p"), target.source.linked(within, "t", "p")
            )
            conditions.append(parent.has_uuid(sql.Identifier("s", f"{within}_uuid"), "p"))
        if not certain:
            conditions.append(sql.SQL("NOT s.stated AND s.state IS NULL"))
        self._run(
            "WITH hit AS (SELECT s.n, pg_catalog.array_agg({uuid} ORDER BY {uuid}) AS uuids"
            " FROM {staged} AS s JOIN {source} ON {conditions} WHERE s.outcome IS NULL GROUP BY s.n)"
            " UPDATE {staged} AS s SET"
            " uuid = CASE WHEN s.state IS NULL AND NOT s.stated AND pg_catalog.cardinality(h.uuids) = 1"
            " THEN h.uuids[1] ELSE s.uuid END,"
            " state = CASE WHEN s.state IS NULL AND NOT s.stated AND pg_catalog.cardinality(h.uuids) = 1"
            " THEN 'found' ELSE s.state END,"
            " outcome = CASE WHEN (s.state = 'found' AND s.uuid <> ALL (h.uuids))"
            " OR (s.state IS NULL AND (s.stated OR pg_catalog.cardinality(h.uuids) > 1)) THEN 'conflicting' END,"
            " message = CASE WHEN s.state = 'found' AND s.uuid <> ALL (h.uuids) THEN pg_catalog.format("
            "'the UUID %s is that of one record, and %s has the UUID %s',"
            " s.uuid, s.label, pg_catalog.array_to_string(h.uuids, ', '))"
            " WHEN s.state IS NULL AND s.stated THEN pg_catalog.format("
            "'the file gives it the UUID %s, and the record in the MES has %s', s.given,"
            " pg_catalog.array_to_string(h.uuids, ', '))"
            " WHEN s.state IS NULL AND pg_catalog.cardinality(h.uuids) > 1 THEN pg_catalog.format("
            "'more than one record is called so: %s', pg_catalog.array_to_string(h.uuids, ', ')) END"
            " FROM hit AS h WHERE h.n = s.n",
            target,
            uuid=target.uuid("t"),
            source=source,
            conditions=sql.SQL(" AND ").join(conditions),
        )

    def twins(self, role: Role, key: sql.Composable) -> None:
        """Let rows that name the same record follow the first of them. `key`: what it is called, NULL for nothing."""
        self._run(
            "WITH g AS (SELECT n, pg_catalog.min(n) OVER w AS lead,"
            " pg_catalog.min(given::text) FILTER (WHERE stated) OVER w AS one,"
            " pg_catalog.max(given::text) FILTER (WHERE stated) OVER w AS other"
            " FROM (SELECT s.n, s.given, s.stated, coalesce(s.uuid::text, {key}, s.given::text, s.n::text) AS ident"
            " FROM {staged} AS s) AS s WINDOW w AS (PARTITION BY ident))"
            " UPDATE {staged} AS s SET lead = g.lead,"
            " given = CASE WHEN s.state IS NULL THEN coalesce(g.one::uuid, s.given) ELSE s.given END,"
            " stated = s.stated OR (s.state IS NULL AND g.one IS NOT NULL),"
            " state = CASE WHEN g.lead <> s.n THEN 'twin' ELSE s.state END,"
            " outcome = CASE WHEN s.outcome IS NULL AND s.state IS NULL AND g.one <> g.other THEN 'conflicting'"
            " ELSE s.outcome END,"
            " message = CASE WHEN s.outcome IS NULL AND s.state IS NULL AND g.one <> g.other THEN pg_catalog.format("
            "'the files give it two UUIDs: %s and %s', g.one, g.other) ELSE s.message END"
            " FROM g WHERE g.n = s.n",
            self._targets[role],
            key=key,
        )

    def link(self, role: Role, to: Role) -> None:
        """Look up what the rows refer to, by its reference in the files."""
        self._run(
            "UPDATE {staged} AS s SET {column} = o.uuid FROM {other} AS o WHERE o.ref = s.{ref}"
            " AND o.uuid IS NOT NULL AND (o.outcome IS NULL OR o.outcome NOT IN ('conflicting', 'unmatched'))",
            self._targets[role],
            column=sql.Identifier(f"{to}_uuid"),
            other=self._targets[to].staged,
            ref=sql.Identifier(f"{to}_ref"),
        )

    def new(self, role: Role) -> None:
        """Decide which of the rest are made; the others are unmatched, and say why."""
        target = self._targets[role]
        if role not in self._choices.create:
            self._run(
                "UPDATE {staged} AS s SET outcome = 'unmatched', message = {message}"
                " WHERE s.state IS NULL AND s.outcome IS NULL",
                target,
                message=sql.Literal(
                    f"there is no such {target.entity}; {self._choices.create_hint[role]} makes it"
                ),
            )
        for other in LINKS.get(role, ()):
            if other in target.links and not target.links[other].nullable:
                self._run(
                    "UPDATE {staged} AS s SET outcome = 'unmatched', message = {message}"
                    " WHERE s.state IS NULL AND s.outcome IS NULL AND s.{column} IS NULL",
                    target,
                    column=sql.Identifier(f"{other}_uuid"),
                    message=self._orphan(role, other),
                )
        self._run(
            "UPDATE {staged} AS s SET state = 'new', uuid = coalesce(s.given, {fresh})"
            " WHERE s.state IS NULL AND s.outcome IS NULL",
            target,
            fresh=self._fresh(target),
        )
        self._complete(target)
        self._identity.check(target, target.staged, sql.SQL("s.state = 'new' AND s.outcome IS NULL"))

    def _orphan(self, role: Role, other: Role) -> sql.Composable:
        """Why a record has nothing that it belongs to."""
        if role == "characteristic":
            return sql.Literal(f"the {self._targets[other].entity} that it belongs to is not there")
        return sql.SQL("CASE WHEN s.{} IS NULL THEN {} ELSE {} END").format(
            sql.Identifier(f"{other}_ref"),
            sql.Literal("the file names no part that it belongs to; --option part=NUMBER says which"),
            sql.Literal(f"its {other} is left out"),
        )

    def settle(self, role: Role) -> None:
        """Give twins what was found out about the first of them."""
        self._run(
            "UPDATE {staged} AS s SET uuid = o.uuid, outcome = coalesce(s.outcome, CASE WHEN o.outcome IN"
            " ('conflicting', 'unmatched') THEN 'unmatched' END),"
            " message = coalesce(s.message, CASE WHEN o.outcome IN ('conflicting', 'unmatched') THEN o.message END)"
            " FROM {staged} AS o WHERE s.state = 'twin' AND o.n = s.lead",
            self._targets[role],
        )

    def _complete(self, target: Target) -> None:
        """Name the columns of a new record that nothing has a value for."""
        own, extra = {**said(target), **linked(target)}, fillers(target, self._choices)
        for field in target.required():
            if field.column in extra or field.column in linked(target):
                continue
            value = own.get(field.column)
            self._run(
                "UPDATE {staged} AS s SET outcome = 'unmatched', state = NULL, message = {message}"
                " WHERE s.state = 'new' AND s.outcome IS NULL AND {value} IS NULL",
                target,
                value=sql.SQL("NULL") if value is None else value,
                message=sql.Literal(lacking_value(target, field)),
            )

    @staticmethod
    def _fresh(target: Target) -> sql.Composable:
        return sql.SQL(
            "dotpeen.uuid_v7()" if target.shape.entity.uuid.version == 7 else "pg_catalog.gen_random_uuid()"
        )

    @staticmethod
    def _comparable(target: Target, name: str) -> sql.Composable:
        column = target.column(name)
        return (
            column if target.columns[name].kind in ("text", "integer") else sql.SQL("{}::text").format(column)
        )

    def _run(self, statement: str, target: Target, **parts: sql.Composable) -> None:
        self.run(sql.SQL(statement).format(staged=target.staged, **parts))
