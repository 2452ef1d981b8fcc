"""Schemas that plugins keep their own tables in."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dotpeen.database import Connection, PluginSchema, connect
from dotpeen.errors import ConfigurationError, DotpeenError

FIRST = "CREATE TABLE dotpeen_crane.card (part uuid PRIMARY KEY);"
SECOND = "ALTER TABLE dotpeen_crane.card ADD note text; CREATE TABLE dotpeen_crane.hook (id int PRIMARY KEY);"


def schema(folder: Path, *steps: str) -> PluginSchema:
    files = []
    for number, step in enumerate(steps, start=1):
        files.append(folder / f"{number}.sql")
        files[-1].write_text(step, encoding="utf-8")
    return PluginSchema(
        "dotpeen_crane",
        steps=tuple(files),
        keeps="the crane log keeps its cards",
        maker="the first card",
        distribution="dotpeen-crane",
    )


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database, purpose="test") as connection:
        yield connection


def versions(session: Connection) -> list[int]:
    return [row[0] for row in session.execute("SELECT version FROM dotpeen_crane.revision ORDER BY 1")]


def test_is_made_once_and_upgraded_step_by_step(session: Connection, tmp_path: Path) -> None:
    first = schema(tmp_path, FIRST)
    assert (first.installed(session), first.rights(session, "SELECT")) == (False, None)
    first.install(session)
    first.install(session)
    assert (first.installed(session), first.rights(session, "SELECT", "DELETE"), versions(session)) == (
        True,
        True,
        [1],
    )
    session.execute("INSERT INTO dotpeen_crane.card VALUES (pg_catalog.gen_random_uuid())")
    second = schema(tmp_path, FIRST, SECOND)
    second.install(session)
    assert (second.version, versions(session)) == (2, [1, 2])
    assert session.execute("SELECT count(*), count(note) FROM dotpeen_crane.card").fetchone() == (1, 0)
    with pytest.raises(DotpeenError, match="dotpeen_crane is of version 2, and this plugin knows 1") as newer:
        first.install(session)
    assert newer.value.hint == "install the dotpeen-crane that made it, or a newer one"


def test_is_made_with_the_transaction_or_not_at_all(database: str, tmp_path: Path) -> None:
    with connect(database, purpose="test", autocommit=False) as connection:
        schema(tmp_path, FIRST).install(connection)
        connection.rollback()
        assert not schema(tmp_path, FIRST).installed(connection)


def test_many_may_be_the_first(database: str, tmp_path: Path) -> None:
    made = schema(tmp_path, FIRST, SECOND)

    def install(_: int) -> list[int]:
        with connect(database, purpose="test", autocommit=False) as connection:
            made.install(connection)
            connection.commit()
            return versions(connection)

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(install, range(12))) == [[1, 2]] * 12


def test_who_lacks_a_right_is_told_which(database: str, session: Connection, tmp_path: Path) -> None:
    first, second = schema(tmp_path, FIRST), schema(tmp_path, FIRST, SECOND)
    name = session.execute("SELECT pg_catalog.current_database()::text").fetchone()
    session.execute("DROP ROLE IF EXISTS crane_clerk")
    session.execute("CREATE ROLE crane_clerk LOGIN")
    session.commit()
    url = database.replace("postgres:", "crane_clerk:").replace("postgres@", "crane_clerk@")
    with connect(url, purpose="test") as clerk:
        with pytest.raises(
            ConfigurationError, match="the first card makes schema dotpeen_crane, and crane_clerk may not"
        ) as refused:
            first.install(clerk)
        assert refused.value.hint is not None
        assert refused.value.hint.startswith(
            f'GRANT CREATE ON DATABASE "{name[0] if name else ""}" TO "crane_clerk"'
        )
        first.install(session)
        with pytest.raises(
            ConfigurationError, match="may not read schema dotpeen_crane, where the crane log keeps its cards"
        ):
            first.installed(clerk)
        with pytest.raises(ConfigurationError, match="may not write to schema dotpeen_crane") as unwritable:
            first.install(clerk)
        assert unwritable.value.hint is not None
        for grant in unwritable.value.hint.split(";"):
            session.execute(grant.encode())
        first.install(clerk)
        with pytest.raises(
            ConfigurationError, match="has to be brought to version 2, and only its owner may"
        ):
            second.install(clerk)
    session.execute("DROP OWNED BY crane_clerk; DROP ROLE crane_clerk")
