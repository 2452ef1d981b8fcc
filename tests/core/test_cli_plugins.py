"""The table of `dotpeen plugins`."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from dotpeen.cli.app import app

Install = Callable[..., None]


def test_the_table_says_what_each_contributes(repository: Path) -> None:
    listed = CliRunner().invoke(
        app, ["-r", str(repository / "registry.toml"), "plugins"], env={"COLUMNS": "200"}
    )
    assert listed.exit_code == 0
    assert "reference Part.stepAp242Uuid" in listed.stdout


def test_a_route_that_one_of_ours_hides_is_named(install: Install, tmp_path: Path) -> None:
    install(
        "crane",
        """
        from fastapi import APIRouter
        from dotpeen.hooks import ApiRouter, hookimpl

        router = APIRouter()

        @router.get("/parts/{uuid:path}")
        @router.get("/parts/{number}/load")
        def load(): ...

        @hookimpl
        def dotpeen_api_routers(registry):
            return [ApiRouter(router, "Part")]
        """,
    )
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.crane]\n[entities.Part]\n")
    listed = CliRunner().invoke(app, ["-r", str(registry), "plugins", "--json"])
    assert listed.exit_code == 0, listed.output
    (crane,) = [one for one in json.loads(listed.stdout)["plugins"] if one["name"] == "crane"]
    assert crane["hidden_routes"] == ["GET /api/v1/external/parts/{uuid}"]
    shown = CliRunner().invoke(app, ["-r", str(registry), "plugins"], env={"COLUMNS": "200"})
    assert "hidden by a route of ours: GET /api/v1/external/parts/{uuid}" in " ".join(shown.stdout.split())


def test_a_failure_says_how_to_see_its_traceback(install: Install, tmp_path: Path) -> None:
    install("hoist", "1 / 0")
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.hoist]")
    listed = CliRunner().invoke(app, ["-r", str(registry), "plugins"], env={"COLUMNS": "200"})
    assert "division by zero (installed_hoist.py:1)" in " ".join(listed.stdout.split())
    assert "DOTPEEN_DEBUG=1 shows the traceback" in listed.stderr


def test_a_failed_plugin_is_named_in_the_table(tmp_path: Path) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.qif]\nschema_dir = 'nowhere'")
    listed = CliRunner().invoke(app, ["-r", str(registry), "plugins"], env={"COLUMNS": "200"})
    assert listed.exit_code == 1
    assert "not well schema_dir: no nowhere/QIFApplications/QIFDocument.xsd" in " ".join(
        listed.stdout.split()
    )
