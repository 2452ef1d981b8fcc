"""The plan as files, by the command as a user starts it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from acceptance.plant import KINDS, create, registry


@pytest.mark.parametrize(("form", "written"), [("sql", ".sql"), ("alembic", ".py")])
def test_export_writes_the_plan_and_leaves_the_database_alone(
    run_dotpeen: Any, database: str, form: str, written: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        create(connection, KINDS["Part"], 10)
    (run_dotpeen.folder / "registry.toml").write_text(registry(("Part",)), encoding="utf-8")
    options = ("-r", "registry.toml", "--database-url", database)
    exported = run_dotpeen(*options, "migrate", "export", "--format", form, "-o", "plan")
    assert exported.returncode == 0, exported.stderr
    files = [file for file in (run_dotpeen.folder / "plan").iterdir() if file.suffix == written]
    assert files
    assert all('"persistentUuid"' in file.read_text(encoding="utf-8") for file in files)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regnamespace('dotpeen')").fetchone() == (None,)
