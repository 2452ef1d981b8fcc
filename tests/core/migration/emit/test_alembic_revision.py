"""The Alembic revision, run by Alembic."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.slow

ENV = """
import os

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool

if context.is_offline_mode():
    context.configure(dialect_name="postgresql")
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(os.environ["PLANT"]), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""

Alembic = Callable[..., str]


@pytest.fixture
def alembic(tmp_path: Path, plant: str) -> Alembic:
    """`alembic("upgrade", "head")` runs the command in a small project."""
    (tmp_path / "alembic" / "versions").mkdir(parents=True)
    (tmp_path / "alembic" / "env.py").write_text(ENV, encoding="utf-8")
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n", encoding="utf-8")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from alembic.config import main; main()", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PLANT": plant},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_upgrade_downgrade_upgrade_gives_every_record_its_uuid_back(
    export: Any, alembic: Alembic, verified: Any, uuids: Any, plant: str
) -> None:
    (file,) = export("alembic", "-o", "alembic/versions")
    revision = file.name.removesuffix("_dotpeen_uuids.py")
    alembic("upgrade", "head")
    assert verified()
    assert _revision(plant) == [revision]
    issued = uuids()
    alembic("downgrade", "base")
    assert _revision(plant) == []
    with psycopg.connect(plant) as connection:
        columns = connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = '\"Part\"'::regclass AND attnum > 0"
            " AND NOT attisdropped"
        ).fetchall()
    assert [column for (column,) in columns] == ["id", "partNumber", "description"]
    alembic("upgrade", "head")
    assert uuids() == issued
    assert verified()


def test_offline_sql_is_what_psql_can_run(
    export: Any, alembic: Alembic, psql: Any, verified: Any, tmp_path: Path
) -> None:
    export("alembic", "-o", "alembic/versions")
    script = tmp_path / "offline.sql"
    script.write_text(alembic("upgrade", "head", "--sql"), encoding="utf-8")
    psql(script)
    assert verified()


def test_the_revision_id_follows_from_the_content(export: Any, alembic: Alembic) -> None:
    (first,) = export("alembic", "-o", "one")
    (again,) = export("alembic", "-o", "two")
    (later,) = export("alembic", "-o", "three", "--down-revision", "abc123")
    assert (first.name, first.read_bytes()) == (again.name, again.read_bytes())
    assert later.name != first.name
    assert "down_revision = 'abc123'" in later.read_text(encoding="utf-8")
    assert "down_revision = None" in first.read_text(encoding="utf-8")


def _revision(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM public.alembic_version")]
