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


def _install(folder: Path, name: str, source: str) -> None:
    (folder / f"installed_{name}.py").write_text(source)
    info = folder / f"installed_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: installed-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dotpeen]\n{name} = installed_{name}\n")


@pytest.mark.slow
def test_broken_plugins_are_named_and_the_others_work(run_dotpeen: Any) -> None:
    packages = run_dotpeen.folder / "packages"
    packages.mkdir()
    hook = "from dotpeen.hooks import hookimpl\n@hookimpl\n"
    _install(packages, "absent", "import no_such_module")
    _install(packages, "raising", f"{hook}def dotpeen_exporters(): raise RuntimeError('rope torn')")
    _install(packages, "hanging", f"import time\n{hook}def dotpeen_importers(): time.sleep(3600)")
    _install(packages, "rubbish", f"{hook}def dotpeen_commands(): return 'crane'")
    names = ("absent", "raising", "hanging", "rubbish", "erp")
    (run_dotpeen.folder / "registry.toml").write_text(
        "".join(f"[plugins.{name}]\n" for name in names) + "[entities.Part]\nbusiness_id = 'number'\n"
    )
    path = {"PYTHONPATH": str(packages)}
    listed = run_dotpeen("plugins", "--json", env=path, timeout=60)
    assert listed.returncode == 1
    found = {plugin["name"]: plugin for plugin in listed.json["plugins"]}
    assert {name: found[name]["error"] for name in names} == {
        "absent": "plugin absent: can't be imported: ModuleNotFoundError: No module named 'no_such_module'"
        " (installed_absent.py:1)",
        "raising": "plugin raising: dotpeen_exporters failed: RuntimeError: rope torn (installed_raising.py:3)",
        "hanging": "plugin hanging: dotpeen_importers failed: no answer within 5 s",
        "rubbish": "plugin rubbish: dotpeen_commands failed: 'crane' is no list of typer.Typer",
        "erp": None,
    }
    assert found["erp"]["health"]["ok"] is True
    helped = run_dotpeen("--help", env=path)
    assert (helped.returncode, "migrate" in helped.stdout) == (0, True)
    assert "plugin absent: can't be imported" in helped.stderr
    assert "plugin rubbish: dotpeen_commands failed: 'crane' is no list of typer.Typer" in helped.stderr
    made = run_dotpeen("plugin", "new", "crane", env=path)
    assert (made.returncode, "plugin absent" in made.stderr) == (0, False)
