"""Open connections: the one place that knows which database is meant and how a session of ours behaves."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import conninfo

from dotpeen.database import embedded
from dotpeen.errors import ConfigurationError, DatabaseUnreachableError
from dotpeen.registry.settings import secret

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

MINIMUM_VERSION: Final = 140000
"""`server_version_num` of the oldest PostgreSQL supported."""

SESSION: Final = {
    # Keys travel as text (ranges, ledger): one representation, whatever the server's defaults.
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    # Every name in generated SQL is qualified; defaults read from the catalog then are, too.
    "search_path": "pg_catalog",
    # Whatever the role or the database has for its applications.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A machine that vanishes without a word must not hold its locks until TCP gives up after hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_WISHED: Final = {
    # In a deadlock the session that waited this long is the one that gives way: ours, never the plant's.
    # It also makes autovacuum step aside at once. Needs superuser or a grant; without it lock_timeout
    # and statement_timeout keep us below the others' default of 1 s.
    "deadlock_timeout": "50ms",
    # A killed client must not leave its statement running. Some server platforms can't tell and refuse it.
    "client_connection_check_interval": "1s",
}


def resolve_url(
    *, option: str | None = None, registry_url: str | None = None, data_dir: Path | None = None
) -> str:
    """Return the database to use: the option, `DOTPEEN_DATABASE_URL`, the registry's, or the embedded one.

    The embedded server is started when it is the one meant; its data are under `data_dir`
    (default `.dotpeen/postgres` in the working directory).
    """
    url = option or os.environ.get("DOTPEEN_DATABASE_URL")
    if not url and registry_url:
        url = secret(registry_url, key="[database] url")
    if url:
        return _checked(url)
    return embedded.start(data_dir or embedded.default_data_dir())


def connect(url: str, *, purpose: str, autocommit: bool = True) -> Connection:
    """Open a session with Dotpeen's settings; `purpose` shows in `pg_stat_activity.application_name`.

    Raises `DatabaseUnreachableError`, and `ConfigurationError` for a server older than PostgreSQL 14.
    """
    try:
        connection = psycopg.connect(
            url, autocommit=True, application_name=f"dotpeen {purpose}"[:63], connect_timeout=10
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnreachableError(
            f"can't connect to {describe(url)}: {_one_line(error)}",
            hint="is the server running, and the URL right (--database-url, DOTPEEN_DATABASE_URL, registry)?",
        ) from None
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"the database URL can't be read: {_without_secrets(error)}") from None
    if connection.info.server_version < MINIMUM_VERSION:
        version = connection.info.server_version // 10000
        connection.close()
        raise ConfigurationError(f"{describe(url)} runs PostgreSQL {version}; 14 is the oldest supported")
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    connection.autocommit = autocommit
    return connection


def _prepare(connection: Connection) -> None:
    for name, value in SESSION.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
    for name, value in _WISHED.items():
        try:
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
            continue


def describe(url: str) -> str:
    """Name a database for messages: host and database, never a password."""
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the database"
    host = parts.get("host") or "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or parts.get('user') or 'postgres'!s} on {host}{port}"


def worker_name() -> str:
    """Name this process for other machines to read: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _checked(url: str) -> str:
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            f"the database URL can't be read: {_without_secrets(error)}",
            hint="it looks like postgresql://user@host:5432/database",
        ) from None
    if "://" in url and "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}":
        # The rest of a password would be taken for host and database, and be named in every message.
        raise ConfigurationError(
            "the database URL has an `@` too many: one in its password, perhaps",
            hint="percent-encode the password: `@` is %40, `/` is %2F, `:` is %3A",
        )
    return url


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _without_secrets(error: Exception) -> str:
    # libpq quotes the part it can't read, which may be a password.
    return re.sub(r'"[^"]*"', '"…"', _one_line(error))
