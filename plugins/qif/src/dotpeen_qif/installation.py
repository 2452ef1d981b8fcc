"""The schema of the plugin's own tables: made by the first import, and read by who has the rights."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from dotpeen.database import Connection
from dotpeen.errors import ConfigurationError, DotpeenError

SCHEMA: Final = "dotpeen_qif"
VERSION: Final = 1


def installed(connection: Connection) -> bool:
    """Tell whether anything was ever imported.

    Raises `ConfigurationError` where something was and this role may not read it: a document without that would say
    less than it should, and nobody would see it.
    """
    allowed = rights(connection, "SELECT")
    if allowed is False:
        raise ConfigurationError(
            f"{_role(connection)} may not read schema {SCHEMA}, where QIF imports keep what documents said",
            hint=f'GRANT USAGE ON SCHEMA {SCHEMA} TO "{_role(connection)}";'
            f' GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO "{_role(connection)}"',
        )
    return allowed is not None


def rights(connection: Connection, *wanted: str) -> bool | None:
    """Tell whether the session's role has rights on all tables; None where there is no schema."""
    row = connection.execute(
        # A role that may not use the schema can't even ask for its tables by their names: it gets an error.
        "SELECT pg_catalog.bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND w.wanted IS NOT NULL"
        " AND pg_catalog.has_table_privilege(c.oid, w.wanted)) FROM pg_catalog.pg_namespace AS n"
        " JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relkind = 'r',"
        " pg_catalog.unnest(%s::text[]) AS w(wanted) WHERE n.nspname = %s",
        [list(wanted), SCHEMA],
    ).fetchone()
    return None if row is None or row[0] is None else bool(row[0])


def _role(connection: Connection) -> str:
    row = connection.execute("SELECT current_user::text").fetchone()
    return "" if row is None else str(row[0])


def install(connection: Connection) -> None:
    """Make the schema where it is missing, in the caller's transaction. Changes nothing where it is there.

    Raises `DotpeenError` where it was made by a newer version of the plugin, and `ConfigurationError` where this role
    may not make it, or write to it.
    """
    role = _role(connection)
    allowed = rights(connection, "SELECT", "INSERT", "UPDATE")
    if allowed is False:
        raise ConfigurationError(
            f"{role} may not write to schema {SCHEMA}, where QIF imports keep what documents said",
            hint=f'GRANT USAGE ON SCHEMA {SCHEMA} TO "{role}";'
            f' GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {SCHEMA} TO "{role}"',
        )
    if allowed is None:
        row = connection.execute(
            "SELECT pg_catalog.current_database()::text,"
            " pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
        ).fetchone()
        if row is not None and not row[1]:
            raise ConfigurationError(
                f"the first import makes schema {SCHEMA}, and {role} may not",
                hint=f'GRANT CREATE ON DATABASE "{row[0]}" TO "{role}"; or let the owner import a first file',
            )
        # Two first imports at once: the second one waits and finds the schema.
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('dotpeen_qif'))")
        if rights(connection, "SELECT") is None:
            connection.execute(files("dotpeen_qif").joinpath("store.sql").read_bytes())
            connection.execute("INSERT INTO dotpeen_qif.revision (version) VALUES (%s)", [VERSION])
            return
    row = connection.execute("SELECT pg_catalog.max(version) FROM dotpeen_qif.revision").fetchone()
    if row is not None and row[0] is not None and row[0] > VERSION:
        raise DotpeenError(
            f"schema {SCHEMA} is of version {row[0]}, and this plugin knows {VERSION}",
            hint="install the dotpeen-qif that made it, or a newer one",
        )
