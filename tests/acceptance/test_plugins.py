"""`dotpeen plugins`: what is installed and switched on."""

from pathlib import Path
from typing import Any


def test_lists_the_plugins_of_the_default_site(run_dotpeen: Any, repository: Path) -> None:
    listed = run_dotpeen("-r", repository / "registry.toml", "plugins", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [
        (plugin["name"], plugin["enabled"], plugin["health"]["ok"]) for plugin in listed.json["plugins"]
    ] == [
        ("erp", True, True),
        ("qif", True, True),
        ("step", True, True),
    ]


def test_a_plugin_that_is_not_well_ends_with_1(run_dotpeen: Any) -> None:
    (run_dotpeen.folder / "registry.toml").write_text("[plugins.qif]\nschema_dir = 'nowhere'\n")
    listed = run_dotpeen("plugins", "--json")
    assert listed.returncode == 1
    assert {plugin["name"]: plugin["health"] for plugin in listed.json["plugins"]} == {
        "erp": None,
        "qif": {"ok": False, "message": "schema_dir: no nowhere/QIFApplications/QIFDocument.xsd"},
        "step": None,
    }


def test_wrong_settings_end_with_2(run_dotpeen: Any) -> None:
    (run_dotpeen.folder / "registry.toml").write_text("[plugins.qif]\nschemas = 1")
    failed = run_dotpeen("plugins")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == (
        "Error: registry.toml:2: plugins.qif.schemas: unknown key (did you mean 'schema_dir'?)\n"
    )
