"""`dotpeen db`: the embedded server of a folder."""

from typing import Any

import psycopg


def test_a_folder_gets_its_server_and_keeps_its_data(run_dotpeen: Any) -> None:
    started = run_dotpeen("db", "start", "--json")
    assert (started.returncode, started.stderr) == (0, "")
    assert started.json == {"url": started.json["url"], "data": _data(run_dotpeen), "wasRunning": False}
    with psycopg.connect(started.json["url"]) as connection:
        connection.execute("CREATE TABLE kept (n) AS VALUES (41), (42)")

    assert run_dotpeen("db", "stop", "--json").json == {"data": _data(run_dotpeen), "wasRunning": True}

    (run_dotpeen.folder / "registry.toml").touch()
    asked = run_dotpeen("db", "psql", "-XAt", "--command", "SELECT max(n) FROM kept")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "42\n", "")


def test_psql_ends_as_psql_does(run_dotpeen: Any, database: str) -> None:
    failed = run_dotpeen(
        "--database-url", database, "db", "psql", "-X", "-v", "ON_ERROR_STOP=1", input="nonsense;"
    )
    assert failed.returncode == 3
    assert "syntax error" in failed.stderr


def test_url_is_that_of_the_other_commands(run_dotpeen: Any) -> None:
    url = "postgresql://mes@db/mes"
    assert run_dotpeen("db", "url", "--json", env={"DOTPEEN_DATABASE_URL": url}).json == {"url": url}
    assert not (run_dotpeen.folder / ".dotpeen").exists()


def _data(run_dotpeen: Any) -> str:
    return str(run_dotpeen.folder / ".dotpeen" / "postgres")
