"""Schemas of plugins: made when they are first needed, upgraded by who may, and read by who has the rights."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources.abc import Traversable

import psycopg
from psycopg import sql

from dotpeen.database.connect import Connection
from dotpeen.errors import ConfigurationError

_REVISION = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {table} (version int PRIMARY KEY,"
    " installed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());"
    " COMMENT ON TABLE {table} IS"
    " 'Versions of this schema that were installed; the largest is what is here.'"
)


@dataclass(frozen=True)
class PluginSchema:
    """The tables that a plugin keeps beside those of the MES, in a schema of its own.

        SCHEMA = PluginSchema(
            "dotpeen_crane",
            steps=(files("dotpeen_crane").joinpath("store.sql"),),
            keeps="the crane log keeps its cards",
            maker="the first card",
            distribution="dotpeen-crane",
        )
        SCHEMA.install(connection)

    The schema itself and its table `revision` are made here; the files make what is in it, every name with its schema.
    Nobody but its owner has rights on it until somebody grants them.
    """

    name: str
    """Of the schema: `dotpeen_` and the plugin's name."""
    steps: tuple[Traversable, ...]
    """Files of SQL. The first makes version 1, each further one of the version before it the next."""
    keeps: str
    """What is in it, as in `may not read schema NAME, where …`."""
    maker: str
    """What makes it, as in `the first import`."""
    distribution: str
    """What has to be installed anew where the schema is newer than it."""
    writes: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE")
    """Rights on its tables that who writes needs."""

    @property
    def version(self) -> int:
        """The version that the plugin knows."""
        return len(self.steps)

    def installed(self, connection: Connection) -> bool:
        """Tell whether there is the schema.

        Raises `ConfigurationError` where this role may not read it: an answer without what is in there would say less
        than it should, and nobody would see it.
        """
        allowed = self.rights(connection, "SELECT")
        if allowed is False:
            raise self._refused(connection, "read", ("SELECT",))
        return allowed is not None

    def rights(self, connection: Connection, *wanted: str) -> bool | None:
        """Tell whether the session's role has rights on all tables; None where there is no schema."""
        row = connection.execute(
            # A role that may not use the schema can't even ask for its tables by their names: it gets an error.
            "SELECT pg_catalog.bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND w.wanted IS NOT NULL"
            " AND pg_catalog.has_table_privilege(c.oid, w.wanted)) FROM pg_catalog.pg_namespace AS n"
            " JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relkind = 'r',"
            " pg_catalog.unnest(%s::text[]) AS w(wanted) WHERE n.nspname = %s",
            [list(wanted), self.name],
        ).fetchone()
        return None if row is None or row[0] is None else bool(row[0])

    def install(self, connection: Connection) -> None:
        """Make or upgrade the schema, in the caller's transaction. Changes nothing where it is as it should be.

        Any number of sessions may try at once. Raises `ConfigurationError` where it was made by a newer version
        of the plugin, and where this role may not make it, or write to it.
        """
        allowed = self.rights(connection, *self.writes)
        if allowed is False:
            raise self._refused(connection, "write to", self.writes)
        if allowed is None:
            self._require_create(connection)
        elif (there := self._version(connection)) >= self.version:
            self._require_known(there)
            return
        # Two that are the first: the second one waits and finds the schema.
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext(%s))", [self.name])
        if self.rights(connection, "SELECT") is None:
            name = sql.Identifier(self.name)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            connection.execute(_REVISION.format(table=self._revision))
        there = self._version(connection)
        self._require_known(there)
        for number, step in enumerate(self.steps[there:], start=there + 1):
            self._take(connection, step, number)

    def _take(self, connection: Connection, step: Traversable, number: int) -> None:
        name = sql.Identifier(self.name)
        try:
            connection.execute(step.read_bytes())
            connection.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM PUBLIC").format(name))
        except psycopg.errors.InsufficientPrivilege:
            raise ConfigurationError(
                f"schema {self.name} has to be brought to version {number}, and only its owner may",
                hint="let the owner run the same command once",
            ) from None
        connection.execute(sql.SQL("INSERT INTO {} (version) VALUES (%s)").format(self._revision), [number])

    @property
    def _revision(self) -> sql.Identifier:
        return sql.Identifier(self.name, "revision")

    def _version(self, connection: Connection) -> int:
        row = connection.execute(
            sql.SQL("SELECT coalesce(pg_catalog.max(version), 0) FROM {}").format(self._revision)
        ).fetchone()
        return int(row[0]) if row is not None else 0

    def _require_known(self, there: int) -> None:
        if there > self.version:
            raise ConfigurationError(
                f"schema {self.name} is of version {there}, and this plugin knows {self.version}",
                hint=f"install the {self.distribution} that made it, or a newer one",
            )

    def _require_create(self, connection: Connection) -> None:
        row = connection.execute(
            "SELECT current_user::text, pg_catalog.current_database()::text,"
            " pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
        ).fetchone()
        if row is not None and not row[2]:
            raise ConfigurationError(
                f"{self.maker} makes schema {self.name}, and {row[0]} may not",
                hint=f'GRANT CREATE ON DATABASE "{row[1]}" TO "{row[0]}"; or let the owner do it first',
            )

    def _refused(self, connection: Connection, what: str, rights: tuple[str, ...]) -> ConfigurationError:
        row = connection.execute("SELECT current_user::text").fetchone()
        role = "" if row is None else str(row[0])
        return ConfigurationError(
            f"{role} may not {what} schema {self.name}, where {self.keeps}",
            hint=f'GRANT USAGE ON SCHEMA {self.name} TO "{role}";'
            f' GRANT {", ".join(rights)} ON ALL TABLES IN SCHEMA {self.name} TO "{role}"',
        )
