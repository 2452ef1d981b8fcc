"""`dotpeen plugins`: what is installed and switched on."""

from pathlib import Path
from typing import Any

import pytest


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


def test_the_table_says_what_references_are_not_yet(run_dotpeen: Any, repository: Path) -> None:
    listed = run_dotpeen("-r", repository / "registry.toml", "plugins")
    assert listed.returncode == 0
    assert "Part.stepAp242Uuid" in listed.stdout
    assert "this release makes no columns and no routes for them" in listed.stdout


def test_a_plugin_that_is_not_well_ends_with_1(run_dotpeen: Any) -> None:
    (run_dotpeen.folder / "registry.toml").write_text("[plugins.qif]\nschema_dir = 'nowhere'\n")
    listed = run_dotpeen("plugins", "--json")
    assert listed.returncode == 1
    assert {plugin["name"]: plugin["health"] for plugin in listed.json["plugins"]} == {
        "erp": None,
        "qif": {"ok": False, "message": "schema_dir: no nowhere/QIFApplications/QIFDocument.xsd"},
        "step": None,
    }


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        (
            "[plugins.qfi]",
            "plugin qfi: registry.toml switches it on, but it is not installed\n  → did you mean 'qif'?",
        ),
        (
            "[plugins.qif]\nschemas = 1",
            "registry.toml:2: plugins.qif.schemas: unknown key (did you mean 'schema_dir'?)",
        ),
    ],
)
def test_wrong_plugins_end_with_2(run_dotpeen: Any, registry: str, message: str) -> None:
    (run_dotpeen.folder / "registry.toml").write_text(registry)
    failed = run_dotpeen("plugins")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert message in failed.stderr
