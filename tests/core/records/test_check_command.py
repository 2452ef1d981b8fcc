"""`dotpeen check` says what comes next."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from dotpeen.cli.app import app

from .site import Site

pytestmark = pytest.mark.slow


def last_line(registry: Path, url: str) -> str:
    result = CliRunner().invoke(app, ["-r", str(registry), "--database-url", url, "check"])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def test_it_names_the_migration_until_there_is_nothing_to_migrate(
    mes: Site, database: str, tmp_path: Path
) -> None:
    registry = tmp_path / "site.toml"
    registry.write_text('[entities.Part]\nbusiness_id = "partNumber"\n', encoding="utf-8")
    assert last_line(registry, mes.url) == f"Next: dotpeen -r {registry} serve"
    with psycopg.connect(database) as connection:
        connection.execute('CREATE TABLE "Part" (id int PRIMARY KEY, "partNumber" text UNIQUE)')
    assert last_line(registry, database) == f"Next: dotpeen -r {registry} migrate plan"
