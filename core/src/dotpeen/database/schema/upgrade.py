"""Bring schema `dotpeen` to the newest revision; any number of processes may try at once."""

from __future__ import annotations

from importlib.resources import as_file, files

import psycopg

from dotpeen.database.connect import Connection, connect
from dotpeen.errors import ConfigurationError

HEAD = "0004"
"""The newest revision, so that a schema that has it is told without loading Alembic."""

_LOCK = "dotpeen schema"


def is_installed(connection: Connection) -> bool:
    """Tell whether the schema has been made in this database."""
    row = connection.execute(
        "SELECT pg_catalog.to_regclass('dotpeen.alembic_version') IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def upgrade(url: str) -> None:
    """Create or upgrade schema `dotpeen`, in one transaction.

    Raises `ConfigurationError` when the role may not create it.
    """
    with connect(url, purpose="schema") as connection:
        if is_installed(connection) and _revision(connection) == HEAD:
            return
        connection.execute("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(%s, 0))", [_LOCK])
        try:
            # Asked first: IF NOT EXISTS needs the right to create, even where there is nothing to create.
            row = connection.execute("SELECT pg_catalog.to_regnamespace('dotpeen') IS NULL").fetchone()
            if row and row[0]:
                connection.execute("CREATE SCHEMA dotpeen")
        except psycopg.errors.InsufficientPrivilege:
            raise ConfigurationError(
                f"role {connection.info.user!r} may not create schema dotpeen "
                f"in database {connection.info.dbname!r}",
                hint=f"as the database's owner: GRANT CREATE ON DATABASE {connection.info.dbname} "
                f"TO {connection.info.user}",
            ) from None
        _run_alembic(connection)


def _revision(connection: Connection) -> str | None:
    row = connection.execute("SELECT version_num FROM dotpeen.alembic_version").fetchone()
    return str(row[0]) if row else None


def _run_alembic(connection: Connection) -> None:
    # Importing these takes longer than all the rest of a command's start, and few commands get here.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    # One session: SQLAlchemy is handed this connection, so that the lock and the work share a life.
    connection.autocommit = False
    connection.commit()
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    try:
        with as_file(files("dotpeen.database.schema")) as folder, engine.connect() as alchemy:
            config = Config()
            config.set_main_option("script_location", str(folder))
            config.attributes["connection"] = alchemy
            command.upgrade(config, "head")
            alchemy.commit()
    except DBAPIError as error:
        # What went wrong is the driver's to say, here as everywhere.
        raise (error.orig or error) from None
