"""Dotpeen's own schema: every revision leads to the same one."""

from __future__ import annotations

import threading
from importlib.resources import as_file, files
from typing import Any
from uuid import uuid4

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dotpeen.database import connect
from dotpeen.database.schema import upgrade
from dotpeen.database.schema.upgrade import HEAD

_CATALOG = """
SELECT relname, relkind, relpersistence, reloptions, relacl::text, obj_description(oid, 'pg_class')
  FROM pg_class WHERE relnamespace = 'dotpeen'::regnamespace;
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text, a.attnotnull,
       a.attidentity, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (c.oid, a.attnum) WHERE c.relnamespace = 'dotpeen'::regnamespace;
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'dotpeen'::regnamespace;
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
 WHERE relnamespace = 'dotpeen'::regnamespace;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal;
SELECT pg_get_functiondef(oid), proacl::text, obj_description(oid, 'pg_proc') FROM pg_proc
 WHERE pronamespace = 'dotpeen'::regnamespace;
SELECT viewname, definition FROM pg_views WHERE schemaname = 'dotpeen'
"""


def catalog(url: str) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        return [
            sorted(connection.execute(query.encode()).fetchall(), key=repr) for query in _CATALOG.split(";")
        ]


def upgrade_to(url: str, revision: str) -> None:
    """Make the schema as a release that knew only this revision did."""
    with connect(url, purpose="test") as connection:
        connection.execute("CREATE SCHEMA dotpeen")
        connection.autocommit = False
        engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
        with as_file(files("dotpeen.database.schema")) as folder, engine.connect() as alchemy:
            config = Config()
            config.set_main_option("script_location", str(folder))
            config.attributes["connection"] = alchemy
            command.upgrade(config, revision)
            alchemy.commit()


def test_a_database_of_the_first_release_becomes_what_a_fresh_one_is(database: str, server: Any) -> None:
    upgrade(database)
    old = server.create()
    try:
        upgrade_to(old, "0001")
        assert catalog(old) != catalog(database)
        with psycopg.connect(old) as connection:
            connection.execute(
                "INSERT INTO dotpeen.journal (actor, action, outcome) VALUES ('ada', 'kept', 'done')"
            )
        upgrade(old)
        assert catalog(old) == catalog(database)
        with psycopg.connect(old) as connection:
            assert connection.execute("SELECT action FROM dotpeen.journal").fetchall() == [("kept",)]
            assert connection.execute("SELECT version_num FROM dotpeen.alembic_version").fetchone() == (HEAD,)
    finally:
        server.drop(old)


def test_who_may_write_or_read_the_trail_may_go_on_to(database: str) -> None:
    upgrade_to(database, "0003")
    writer, reader = (f"{name}_{uuid4().hex[:12]}" for name in ("writer", "reader"))
    with psycopg.connect(database, autocommit=True) as connection:
        try:
            for role, rights in ((writer, "SELECT, INSERT"), (reader, "SELECT")):
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
                connection.execute(
                    sql.SQL("GRANT {} ON dotpeen.audit TO {}").format(sql.SQL(rights), sql.Identifier(role))
                )
            upgrade(database)
            rights = connection.execute(
                "SELECT grantee::regrole::text, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
                "  FROM pg_class, aclexplode(relacl) WHERE oid = 'dotpeen.audit_given'::regclass"
                "   AND grantee <> relowner GROUP BY grantee ORDER BY 1"
            ).fetchall()
        finally:
            for role in (writer, reader):
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert rights == [(reader, "SELECT"), (writer, "INSERT SELECT")]


def test_many_who_upgrade_at_once_make_it_once(database: str) -> None:
    upgrade_to(database, "0001")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(database)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    upgrade(database)


def test_every_table_of_the_interface_says_what_it_is_and_is_closed_to_others(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        # The worst default there is.
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC")
    upgrade(database)
    tables = ["api_state", "audit", "audit_given", "partner", "partner_token", "rate_window"]
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT relname, obj_description(oid, 'pg_class') IS NOT NULL, EXISTS (SELECT FROM aclexplode(relacl)"
            " WHERE grantee = 0) FROM pg_class WHERE relnamespace = 'dotpeen'::regnamespace AND relname = ANY(%s)"
            " ORDER BY relname",
            [tables],
        ).fetchall()
        assert found == [(table, True, False) for table in tables]
        functions = connection.execute(
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'raise%%generation%%'"
            " AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)"
        ).fetchone()
        assert functions == (0,)
