"""The table of `dotpeen plugins`."""

from pathlib import Path

from typer.testing import CliRunner

from dotpeen.cli.app import app


def test_the_table_says_what_each_contributes(repository: Path) -> None:
    listed = CliRunner().invoke(
        app, ["-r", str(repository / "registry.toml"), "plugins"], env={"COLUMNS": "200"}
    )
    assert listed.exit_code == 0
    assert "reference Part.stepAp242Uuid" in listed.stdout


def test_a_failed_plugin_is_named_in_the_table(tmp_path: Path) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.qif]\nschema_dir = 'nowhere'")
    listed = CliRunner().invoke(app, ["-r", str(registry), "plugins"], env={"COLUMNS": "200"})
    assert listed.exit_code == 1
    assert "not well schema_dir: no nowhere/QIFApplications/QIFDocument.xsd" in " ".join(
        listed.stdout.split()
    )
