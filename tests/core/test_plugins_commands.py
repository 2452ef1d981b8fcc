"""Groups of commands that plugins add: there when enabled, gone when not, and never in anybody's way."""

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dotpeen.cli.app import app
from dotpeen.errors import ConfigurationError

Install = Callable[..., None]

CRANE = """
    import typer
    from dotpeen.cli.context import current
    from dotpeen.hooks import hookimpl

    app = typer.Typer(name="crane", help="Lift and lower.")

    @app.command("lift")
    def lift(context: typer.Context, tonnes: float) -> None:
        site = current(context)
        site.out.print(f"{site.registry.site.name} lifts {tonnes}")

    @app.command("drop")
    def drop() -> None:
        raise RuntimeError("the rope is torn")

    @hookimpl
    def dotpeen_commands():
        return [app]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DOTPEEN_REGISTRY", raising=False)
    return folder


def dotpeen(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "160", "TERM": "dumb"})


def test_an_enabled_plugins_group_is_in_the_help_and_runs(install: Install, here: Path) -> None:
    install("crane", CRANE)
    (here / "registry.toml").write_text("[site]\nname = 'harbour'\n[plugins.crane]\n")
    helped = dotpeen("--help")
    assert helped.exit_code == 0
    assert "Commands of plugins" in helped.stdout
    assert "Lift and lower." in helped.stdout
    assert dotpeen("crane", "lift", "3.5").stdout == "harbour lifts 3.5\n"
    assert "lift" in dotpeen("crane", "--help").stdout


@pytest.mark.parametrize("before", [True, False])
def test_the_registry_named_before_or_after_the_help_counts(
    install: Install, here: Path, *, before: bool
) -> None:
    install("crane", CRANE)
    (here / "other.toml").write_text("[plugins.crane]\n")
    options = ("-r", "other.toml")
    helped = dotpeen(*options, "--help") if before else dotpeen("--help", *options)
    assert "Lift and lower." in helped.stdout


def test_the_environment_names_the_registry(
    install: Install, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("crane", CRANE)
    (here / "other.toml").write_text("[plugins.crane]\n")
    monkeypatch.setenv("DOTPEEN_REGISTRY", "other.toml")
    assert dotpeen("crane", "lift", "1").exit_code == 0


def test_a_disabled_plugins_group_is_gone_and_it_is_not_imported(install: Install, here: Path) -> None:
    install("crane", CRANE)
    (here / "registry.toml").write_text("[plugins.crane]\nenabled = false\n")
    assert "Lift and lower." not in dotpeen("--help").stdout
    gone = dotpeen("crane", "lift", "1")
    assert (gone.exit_code, "No such command 'crane'" in gone.stderr) == (2, True)
    how = "remove `enabled = false` from [plugins.crane] in registry.toml"
    assert gone.stderr.startswith(f"Plugin crane is installed but off: {how}.\n")
    assert "installed_crane" not in sys.modules


def test_a_plugin_that_the_registry_doesnt_name_is_said_to_be_off(install: Install, here: Path) -> None:
    install("crane", CRANE)
    (here / "site.toml").write_text("[site]\n")
    gone = dotpeen("-r", "site.toml", "crane", "lift", "1")
    said = "Plugin crane is installed but off: give it a section [plugins.crane] in site.toml.\n"
    assert gone.stderr.startswith(said)
    assert "No such command 'crane'" in gone.stderr
    assert "off" not in dotpeen("-r", "site.toml", "hoist").stderr
    assert "installed_crane" not in sys.modules


def test_our_own_commands_import_no_plugin(install: Install, here: Path) -> None:
    install("crane", CRANE)
    (here / "registry.toml").write_text("[plugins.crane]\n")
    assert dotpeen("plugin", "new", "--help").exit_code == 0
    assert "installed_crane" not in sys.modules


@pytest.mark.parametrize(
    ("registry", "reason"),
    [
        ("[site\n", "registry.toml:1: "),
        ("[plugins.crnae]\n", "plugin crnae: registry.toml switches it on, but it is not installed"),
        ("[plugins.crane]\nweight = 1\n", "registry.toml:2: plugins.crane.weight: unknown key"),
    ],
)
def test_a_broken_registry_costs_plugins_commands_only(
    install: Install, here: Path, registry: str, reason: str
) -> None:
    install(
        "crane",
        CRANE + "\n    from pydantic import BaseModel, ConfigDict\n"
        "    class Settings(BaseModel):\n        model_config = ConfigDict(extra='forbid')\n",
    )
    (here / "registry.toml").write_text(registry)
    helped = dotpeen("--help")
    assert helped.exit_code == 0
    assert "migrate" in helped.stdout
    assert helped.stderr.startswith(f"Commands of plugins are not known: {reason}")
    unknown = dotpeen("crane", "lift", "1")
    assert unknown.exit_code == 2
    assert reason in unknown.stderr
    assert dotpeen("plugin", "new", "hoist").exit_code == 0


def test_without_a_registry_the_help_is_quiet_and_an_unknown_command_says_so(here: Path) -> None:
    assert dotpeen("--help").stderr == ""
    unknown = dotpeen("crane", "lift")
    assert unknown.exit_code == 2
    assert unknown.stderr.startswith(
        "Commands of plugins are not known: there is no registry.toml here."
        " Name a registry: dotpeen -r FILE crane …, or set DOTPEEN_REGISTRY.\n"
    )
    assert "No such command 'crane'" in unknown.stderr


def test_a_plugin_that_cant_be_imported_costs_its_own_commands_only(
    install: Install, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("crane", CRANE)
    install("hoist", "import no_such_module")
    (here / "registry.toml").write_text("[plugins.hoist]\n[plugins.crane]\n")
    caplog.set_level("WARNING", logger="dotpeen.plugins")  # `dotpeen plugins` in this process turns it up
    assert "Lift and lower." in dotpeen("--help").stdout
    assert any("plugin hoist: can't be imported" in message for message in caplog.messages)


def test_a_group_cant_be_called_like_a_command_of_ours(install: Install, here: Path) -> None:
    install("crane", CRANE.replace('name="crane"', 'name="migrate"'))
    (here / "registry.toml").write_text("[plugins.crane]\n")
    assert "Lift and lower." not in dotpeen("--help").stdout
    listed = dotpeen("plugins", "--json")
    assert listed.exit_code == 1
    assert "the group's name 'migrate' is that of a command of Dotpeen" in listed.stdout


def test_commands_that_cant_be_built_are_named(install: Install, here: Path) -> None:
    install("crane", CRANE.replace('name="crane"', 'name="crane", cls=int'))
    (here / "registry.toml").write_text("[plugins.crane]\n")
    helped = dotpeen("--help")
    assert helped.exit_code == 0
    assert helped.stderr.startswith("plugin crane: its commands can't be built: ")


def test_a_typo_is_answered_with_the_plugins_group_too(install: Install, here: Path) -> None:
    install("crane", CRANE)
    (here / "registry.toml").write_text("[plugins.crane]\n")
    assert "Did you mean 'crane'?" in dotpeen("crnae").stderr


def test_what_a_plugins_command_lets_through_is_named_as_the_plugins(
    run_dotpeen: Any, install: Install
) -> None:
    install("crane", CRANE)
    folder = run_dotpeen.folder
    (folder / "registry.toml").write_text("[plugins.crane]\n")
    failed = run_dotpeen("crane", "drop", env={"PYTHONPATH": str(folder / "site-packages")})
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "Error: plugin crane: command crane failed: RuntimeError: the rope is torn (installed_crane.py:15)\n"
        "  → DOTPEEN_DEBUG=1 shows the traceback, for those who maintain the plugin\n"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Crane", "can't be a plugin's name"),
        ("../crane", "can't be a plugin's name"),
        ("crane_log", "can't be a plugin's name"),
        ("c" * 41, "can't be a plugin's name"),
        ("dotpeen-crane", "the distribution will be called dotpeen-NAME"),
        ("migrate", "is a command of Dotpeen"),
        ("qif", "is installed already"),
    ],
)
def test_plugin_new_refuses_a_name_that_cant_be_and_leaves_nothing(
    here: Path, name: str, reason: str
) -> None:
    refused = dotpeen("plugin", "new", name)
    assert isinstance(refused.exception, ConfigurationError)
    assert reason in str(refused.exception)
    assert list(here.iterdir()) == []


def test_plugin_new_overwrites_nothing(here: Path) -> None:
    (here / "dotpeen-crane").mkdir()
    refused = dotpeen("plugin", "new", "crane")
    assert str(refused.exception) == "dotpeen-crane exists already"
    assert list((here / "dotpeen-crane").iterdir()) == []
    missing = dotpeen("plugin", "new", "crane", "--directory", "nowhere")
    assert str(missing.exception) == "nowhere is no folder"


def test_plugin_new_leaves_nothing_half_done(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    refused = dotpeen("plugin", "new", "crane")
    assert str(refused.exception) == "dotpeen-crane can't be written: No space left on device"
    assert list(here.iterdir()) == []


def test_plugin_new_lists_its_files(here: Path) -> None:
    made = dotpeen("plugin", "new", "crane-log", "--json")
    assert made.exit_code == 0
    document = json.loads(made.stdout)
    assert (document["name"], document["folder"]) == ("crane-log", "dotpeen-crane-log")
    assert all((here / document["folder"] / file).is_file() for file in document["files"])
    assert {"pyproject.toml", "README.md", "src/dotpeen_crane_log/plugin.py", "tests/test_plugin.py"} <= set(
        document["files"]
    )


def test_a_hook_pasted_into_the_skeletons_plugin_py_counts(here: Path) -> None:
    made = dotpeen("plugin", "new", "crane-log")
    assert "uv pip install ./core" in made.stderr
    project = tomllib.loads((here / "dotpeen-crane-log" / "pyproject.toml").read_text())["project"]
    module = project["entry-points"]["dotpeen"]["crane-log"]
    file = here / "dotpeen-crane-log" / "src" / f"{module.replace('.', '/')}.py"
    assert (module, "@hookimpl" in file.read_text()) == ("dotpeen_crane_log.plugin", True)


def test_the_skeleton_is_tidy(here: Path) -> None:
    dotpeen("plugin", "new", "crane-log")
    for file in (here / "dotpeen-crane-log").rglob("*.py"):
        text = file.read_text()
        compile(text, str(file), "exec")
        assert "$" not in text
        assert max(map(len, text.splitlines()), default=0) <= 120
