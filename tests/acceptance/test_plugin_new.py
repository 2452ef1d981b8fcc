"""`dotpeen plugin new`: what it writes installs in a fresh environment, works when enabled and is gone when not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="no uv to make environments with"),
]


class Environment:
    """A virtual environment of its own, and a site in which its commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.site.mkdir(parents=True)
        self.python = folder / "venv" / "bin" / "python"

    def run(self, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("DOTPEEN_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "COVERAGE_", "UV_PROJECT")
            )
        }
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.site,
            env=inherited | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def dotpeen(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run(self.python.parent / "dotpeen", *arguments)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Environment]:
    """A fresh environment with core and, made and installed as docs/plugins.md says, the plugin crane-log."""
    made = Environment(tmp_path_factory.mktemp("plugin-new"))
    for command in (
        ("uv", "venv", "--quiet", "--python", sys.executable, made.folder / "venv"),
        ("uv", "pip", "install", "--quiet", "--python", made.python, repository / "core"),
        (made.python.parent / "dotpeen", "plugin", "new", "crane-log", "--directory", made.folder),
        (
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            made.python,
            "-e",
            made.folder / "dotpeen-crane-log[test]",
        ),
    ):
        done = made.run(*command)
        assert done.returncode == 0, done.stderr
    # What proves an import: the module leaves a file behind.
    with (made.folder / "dotpeen-crane-log/src/dotpeen_crane_log/__init__.py").open("a") as module:
        module.write(f"\nopen({str(made.folder / 'imported')!r}, 'w').close()\n")
    yield made
    made.dotpeen("db", "stop")


@pytest.fixture
def site(environment: Environment) -> Iterator[Environment]:
    """A site that has nothing of the test before."""
    (environment.folder / "imported").unlink(missing_ok=True)
    yield environment
    (environment.site / "registry.toml").unlink()


def registry(site: Environment, section: str) -> None:
    (site.site / "registry.toml").write_text(
        f"[plugins.crane-log]\n{section}\n[entities.Part]\nbusiness_id = 'number'\nexpose = ['number']\n"
    )


def listed(site: Environment) -> dict[str, Any]:
    found = site.dotpeen("plugins", "--json")
    assert found.returncode == 0, found.stderr
    (plugin,) = json.loads(found.stdout)["plugins"]
    return plugin


def test_its_own_tests_pass(environment: Environment) -> None:
    folder = environment.folder / "dotpeen-crane-log"
    tested = environment.run(environment.python, "-m", "pytest", "-q", cwd=folder)
    assert tested.returncode == 0, tested.stdout
    assert "6 passed" in tested.stdout


def test_enabled_it_is_listed_and_its_command_and_export_work(site: Environment) -> None:
    documents = site.site / "documents"
    documents.mkdir()
    registry(site, "folder = 'documents'")
    plugin = listed(site)
    assert (plugin["name"], plugin["version"], plugin["enabled"]) == ("crane-log", "0.1.0", True)
    assert plugin["hooks"] == [
        "dotpeen_commands",
        "dotpeen_exporters",
        "dotpeen_health",
        "dotpeen_thread_entries",
    ]
    assert (plugin["exporters"], plugin["commands"]) == (["crane-log-card"], ["crane-log"])
    assert plugin["health"] == {"ok": True, "message": "folder documents"}
    assert "crane-log" in site.dotpeen("--help").stdout

    uuid = _part(site)
    (documents / f"{uuid}-drawing.pdf").write_text("")
    assert site.dotpeen("crane-log", "list").stdout == f"{uuid}-drawing.pdf\n"
    exported = site.dotpeen("export", "Part", "PN-1", "--format", "crane-log-card", "-o", "card.txt")
    assert exported.returncode == 0, exported.stderr
    assert (site.site / "card.txt").read_text() == f"Part {uuid}\n- {uuid}-drawing.pdf\n"
    assert (site.folder / "imported").exists()


def test_disabled_everything_of_it_is_gone_and_it_is_not_imported(site: Environment) -> None:
    registry(site, "enabled = false")
    plugin = listed(site)
    assert plugin["enabled"] is False
    assert [plugin[kind] for kind in ("hooks", "exporters", "commands", "health", "error")] == [
        [],
        [],
        [],
        None,
        None,
    ]
    assert "crane-log" not in site.dotpeen("--help").stdout
    gone = site.dotpeen("crane-log", "list")
    assert (gone.returncode, "No such command 'crane-log'" in gone.stderr) == (2, True)
    refused = site.dotpeen("export", "Part", "PN-1", "--format", "crane-log-card")
    assert refused.returncode != 0
    assert not (site.folder / "imported").exists()


def _part(site: Environment) -> str:
    """Make a table with one part on the embedded server, migrate it, and return the part's UUID."""
    script = (
        "from dotpeen.database import connect, resolve_url\n"
        "with connect(resolve_url(), purpose='test') as session:\n"
        "    session.execute('CREATE TABLE public.\"Part\" (id text PRIMARY KEY, number text NOT NULL UNIQUE)')\n"
        "    session.execute('INSERT INTO public.\"Part\" VALUES (%s, %s)', ['k1', 'PN-1'])\n"
    )
    for command in ((site.python, "-c", script), (site.python.parent / "dotpeen", "migrate", "up")):
        done = site.run(*command)
        assert done.returncode == 0, done.stderr
    found = site.dotpeen("lookup", "PN-1", "--json")
    assert found.returncode == 0, found.stderr
    return str(json.loads(found.stdout)["matches"][0]["uuid"])
