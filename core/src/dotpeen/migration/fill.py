"""The statements that give rows their UUIDs: into the column, or into the sidecar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from psycopg import sql

from dotpeen.migration.model import Target
from dotpeen.migration.ranges import KeyColumns, Range
from dotpeen.migration.sql import EntitySql, literal, table_identifier
from dotpeen.registry import TableName

STRIPES = 8
"""Passes over one range, each its own transaction (see `Fill.stripes`). Measured: 2 stripes make 38 % of the updates
HOT, 4 69 %, 8 83 %; more gain nothing."""
STRIPED_BYTES = 4 * 1024**2
"""Smaller tables are filled in plain batches: there is nothing to gain."""


@dataclass(frozen=True)
class Fill:
    """Builds the batch statement of one entity."""

    target: Target

    @cached_property
    def names(self) -> EntitySql:
        """The entity's SQL names."""
        return EntitySql(self.target)

    @cached_property
    def keys(self) -> KeyColumns:
        """The primary key, in the order of the index that serves range conditions on it."""
        table, wanted = self.target.table, self.target.entity.primary_key
        index = next((index for index in table.indexes if index.covers_exactly(wanted)), None)
        ordered = tuple(name for name in index.columns if name is not None) if index else wanted
        return KeyColumns(ordered, tuple(table.columns[name].type for name in ordered))

    @property
    def sidecar(self) -> bool:
        """Whether UUIDs go to the sidecar."""
        return self.target.entity.uuid.storage == "sidecar"

    @cached_property
    def stripes(self) -> int:
        """How many passes over a range, each updating its share of every page.

        A full page has no room for the new version of a row, which then moves to another page and needs an entry in
        every index. The rows that the first stripe moved leave room that the following stripes update in place (HOT):
        less WAL, less bloat, no index entries. Where the column is indexed already no update is HOT.
        """
        table, column = self.target.table, self.target.entity.uuid.column
        indexed = any(column in index.columns for index in table.indexes)
        return 1 if self.sidecar or indexed or table.heap_bytes < STRIPED_BYTES else STRIPES

    def batch(self, piece: Range, stripe: int, *, skip_locked: bool = False) -> sql.Composed:
        """The statement that fills one stripe of a range.

        The last stripe takes whatever is left, so no row depends on the stripe condition. With `skip_locked` rows
        that somebody else has locked are left for a later attempt.
        """
        within = self.keys.within(piece.lower, piece.upper)
        if self.sidecar:
            return self._insert(piece.unit, within, skip_locked=skip_locked)
        if stripe < self.stripes - 1 and not skip_locked:
            within = sql.SQL("{} AND {}").format(within, self._stripe(stripe))
        missing = sql.SQL("{} IS NULL").format(self.names.column)
        if skip_locked:
            return self._update_unlocked(piece.unit, within, missing)
        return sql.SQL("UPDATE {} AS t SET {} WHERE {} AND t.{}").format(
            table_identifier(piece.unit), self._assignments(), within, missing
        )

    def missing(self, unit: TableName, *, limit: int) -> sql.Composed:
        """A query for the keys of rows without a UUID."""
        source = table_identifier(unit)
        if self.sidecar:
            return sql.SQL(
                "SELECT {key} FROM {source} AS t WHERE NOT EXISTS"
                " (SELECT FROM {sidecar} AS i WHERE i.entity = {entity} AND i.key = {key}) LIMIT {limit}"
            ).format(
                limit=sql.Literal(limit),
                key=self.names.key("t"),
                source=source,
                sidecar=self.names.sidecar,
                entity=self._entity,
            )
        return sql.SQL("SELECT {} FROM {} AS t WHERE t.{} IS NULL LIMIT {}").format(
            self.names.key("t"), source, self.names.column, sql.Literal(limit)
        )

    def count(self, unit: TableName) -> sql.Composed:
        """A query for the number of rows, and of those without a UUID."""
        source = table_identifier(unit)
        if self.sidecar:
            return sql.SQL(
                "SELECT count(*), count(*) - count(i.key) FROM {} AS t LEFT JOIN {} AS i"
                " ON i.entity = {} AND i.key = {}"
            ).format(source, self.names.sidecar, self._entity, self.names.key("t"))
        return sql.SQL("SELECT count(*), count(*) - count({}) FROM {}").format(self.names.column, source)

    @property
    def _entity(self) -> sql.Literal:
        return literal(self.target.entity.name)

    def _value(self, alias: str) -> sql.Composable:
        fresh = self.names.fresh(alias)
        if self.target.restore:
            fresh = sql.SQL(
                "coalesce((SELECT i.uuid FROM dotpeen.issued AS i"
                " WHERE i.entity = {} AND i.key = {} AND i.current), {})"
            ).format(self._entity, self.names.key(alias), fresh)
        return fresh if self.sidecar else self.names.typed(fresh)

    def _stripe(self, stripe: int) -> sql.Composed:
        # Byte 5 of a tid is its line pointer's number: an even share of every page, and the cheapest such condition.
        # Line pointers count from 1, so residue 1 has one row more than others on most pages: it goes first, and the
        # room that it leaves is enough for all.
        return sql.SQL("pg_catalog.get_byte(pg_catalog.tidsend(t.ctid), 5) % {} = {}").format(
            sql.Literal(self.stripes), sql.Literal((stripe + 1) % self.stripes)
        )

    @cached_property
    def touched(self) -> tuple[str, ...]:
        """One column of every index, to be set to itself.

        For an UPDATE that names no column of an index PostgreSQL looks, at every full index page, for versions of the
        same row to delete ("bottom-up deletion"). In a backfill there are none: measured, that is a third of the
        processor time. An update to the same value stays HOT, and foreign keys are not checked again. Not where a
        trigger of the table fires on updates (it could be one of that very column) or a column is generated.
        """
        table = self.target.table
        triggered = any(t.on_update and not t.name.startswith("zz_dotpeen_") for t in table.triggers)
        # A stored generated column would be computed anew from the column it depends on.
        generated = any(column.generated and column.default is not None for column in table.columns.values())
        if table.kind == "partitioned" or triggered or generated:
            return ()
        uuid = self.target.entity.uuid.column
        plain = {name for name, column in table.columns.items() if not column.generated and name != uuid}
        chosen: list[str] = []
        for index in table.indexes:
            columns = [name for name in index.columns if name in plain]
            if columns and not set(columns) & set(chosen):
                chosen.append(columns[0])
        return tuple(chosen)

    def _assignments(self) -> sql.Composed:
        filled = sql.SQL("{} = {}").format(self.names.column, self._value("t"))
        same = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("t", name))
            for name in self.touched
        ]
        return sql.SQL(", ").join([filled, *same])

    def _update_unlocked(
        self, unit: TableName, within: sql.Composable, missing: sql.Composable
    ) -> sql.Composed:
        same = sql.SQL(" AND ").join(
            sql.SQL("t.{name} = s.{name}").format(name=sql.Identifier(name)) for name in self.keys.names
        )
        return sql.SQL(
            "UPDATE {table} AS t SET {column} = {value} FROM (SELECT {keys} FROM {table} AS t"
            " WHERE {within} AND t.{missing} FOR NO KEY UPDATE SKIP LOCKED) AS s WHERE {same} AND t.{missing}"
        ).format(
            table=table_identifier(unit),
            column=self.names.column,
            value=self._value("t"),
            keys=self.keys.ordered(),
            within=within,
            missing=missing,
            same=same,
        )

    def _insert(self, unit: TableName, within: sql.Composable, *, skip_locked: bool) -> sql.Composed:
        # FOR KEY SHARE: a row deleted meanwhile would leave an identity that its delete trigger has not seen.
        # It needs UPDATE on the table; where that was not granted, verify tells of such an identity.
        lock = sql.SQL(" FOR KEY SHARE OF t SKIP LOCKED" if skip_locked else " FOR KEY SHARE OF t")
        return sql.SQL(
            "INSERT INTO {sidecar} (entity, key, uuid) SELECT {entity}, s.key, s.uuid FROM"
            " (SELECT {key} AS key, {value} AS uuid FROM {unit} AS t WHERE {within}{lock}) AS s"
            " ON CONFLICT (entity, key) DO NOTHING"
        ).format(
            sidecar=self.names.sidecar,
            entity=self._entity,
            key=self.names.key("t"),
            value=self._value("t"),
            unit=table_identifier(unit),
            within=within,
            lock=lock if self.target.table.may_update else sql.SQL(""),
        )
