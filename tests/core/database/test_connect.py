"""Which database is meant, and how our sessions behave in it."""

from pathlib import Path

import psycopg
import pytest

from dotpeen.database import connect, resolve_url
from dotpeen.database.connect import describe
from dotpeen.errors import ConfigurationError, DatabaseUnreachableError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOTPEEN_DATABASE_URL", raising=False)


def test_the_option_goes_before_the_environment_and_that_before_the_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry_url = "postgresql:///registry"
    assert resolve_url(registry_url=registry_url) == registry_url
    monkeypatch.setenv("DOTPEEN_DATABASE_URL", "postgresql:///environment")
    assert resolve_url(registry_url=registry_url) == "postgresql:///environment"
    assert resolve_url(option="dbname=option", registry_url=registry_url) == "dbname=option"


def test_the_registry_takes_its_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MES", "postgresql://mes:secret@db/mes")
    assert resolve_url(registry_url="env:MES") == "postgresql://mes:secret@db/mes"
    with pytest.raises(
        ConfigurationError,
        match=r"\[database\] url of the registry comes from the environment variable NO_SUCH, which is not set",
    ) as caught:
        resolve_url(registry_url="env:NO_SUCH")
    assert caught.value.hint == "export NO_SUCH=…"


@pytest.mark.parametrize(
    "url", ["postgresql://mes:s%zzecret@db/mes", "nonsense", "postgresql://db/x?no_such=1"]
)
def test_a_url_that_cant_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the database URL can't be read") as caught:
        resolve_url(option=url)
    assert "ecret" not in str(caught.value)
    assert caught.value.hint == "it looks like postgresql://user@host:5432/database"


def test_a_session_is_ours_to_see(database: str) -> None:
    with connect(database, purpose="backfill of " + "x" * 80) as connection:
        assert connection.autocommit
        settings = dict(
            connection.execute(  # type: ignore[call-overload]
                "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)",
                [["application_name", "TimeZone", "DateStyle", "search_path", "deadlock_timeout"]],
            ).fetchall()
        )
        interval = connection.execute("SHOW client_connection_check_interval").fetchone()
    assert settings == {
        "application_name": ("dotpeen backfill of " + "x" * 80)[:63],
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "search_path": "pg_catalog",
        "deadlock_timeout": "50",
    }
    assert interval == ("1s",)


def test_a_session_may_be_transactional(database: str) -> None:
    with connect(database, purpose="test", autocommit=False) as connection:
        assert not connection.autocommit
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_role_without_rights_connects_too(database: str) -> None:
    with connect(database, purpose="test") as connection:
        role = f"plain_{connection.info.dbname}"
        connection.execute(f'CREATE ROLE "{role}" LOGIN')
        try:
            with connect(
                database.replace("postgres:@", "postgres@").replace("postgres@", f"{role}@"), purpose="test"
            ) as plain:
                assert plain.info.user == role
                assert plain.execute("SHOW deadlock_timeout").fetchone() == ("1s",)
        finally:
            connection.execute(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("password", ["s3cret@home", "s3cret/a@b", "a@s3cret/c"])
def test_a_password_that_splits_the_url_is_refused_unread(password: str) -> None:
    """libpq takes the rest of it for the host or the database, whose names are in messages."""
    with pytest.raises(ConfigurationError, match="an `@` too many") as caught:
        resolve_url(option=f"postgresql://mes:{password}@db/plant")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachableError) as caught:
        connect(f"postgresql://mes:secret@/mes?host={tmp_path}", purpose="test")
    assert str(caught.value).startswith(f"can't connect to database mes on {tmp_path}: ")
    assert "secret" not in str(caught.value)
    assert "is the server running" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("postgresql://mes:secret@db:5433/plant", "database plant on db:5433"),
        ("postgresql://mes@db", "database mes on db"),
        ("", "database postgres on local socket"),
        ("nonsense", "the database"),
    ],
)
def test_describe(url: str, description: str) -> None:
    assert describe(url) == description
