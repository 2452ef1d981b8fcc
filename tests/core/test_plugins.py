"""Plugins: found, switched on by the registry, called without trust."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from dotpeen.contributions import ExternalReference, Health
from dotpeen.errors import ConfigurationError, Problem, RegistryError, UnknownPluginError
from dotpeen.plugins import load_plugins
from dotpeen.registry import load_registry, parse_registry

Install = Callable[..., None]

CRANE = """
    from pydantic import BaseModel, ConfigDict
    from dotpeen.hooks import ExternalReference, Health, VerificationCheck, hookimpl
    from dotpeen.registry import plugin_settings

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        limit: int = 5

    @hookimpl
    def dotpeen_external_references(registry):
        return [ExternalReference("craneId", "Part", "craneId")]

    @hookimpl
    def dotpeen_health(registry):
        return Health(True, f"lifts {plugin_settings(registry, 'crane', Settings).limit} t")
"""


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    """`dotpeen plugins` hushes this logger, and may have run in this process before."""
    caplog.set_level(logging.WARNING, logger="dotpeen.plugins")


def test_installed_is_not_enabled(install: Install) -> None:
    install("crane", "raise RuntimeError('imported')")
    plugins = load_plugins(parse_registry(""))
    assert "crane" in plugins.installed
    assert plugins.enabled == ()
    assert not any(plugin.enabled or plugin.hooks or plugin.health for plugin in plugins.describe())
    assert "installed_crane" not in sys.modules


def test_a_disabled_plugin_is_not_imported_and_keeps_its_settings(install: Install) -> None:
    install("crane", "raise RuntimeError('imported')")
    registry = parse_registry("[plugins.crane]\nenabled = false\nlimit = 'whatever'")
    assert load_plugins(registry).enabled == ()
    assert registry.plugins["crane"].settings == {"limit": "whatever"}
    assert "installed_crane" not in sys.modules


def test_an_enabled_plugin_is_described(install: Install) -> None:
    install("crane", CRANE)
    plugins = load_plugins(parse_registry("[plugins.crane]\nlimit = 7\n[entities.Part]"))
    (crane,) = [plugin for plugin in plugins.describe() if plugin.name == "crane"]
    assert (crane.distribution, crane.version, crane.enabled) == ("installed_crane", "1.2", True)
    assert crane.hooks == ("dotpeen_external_references", "dotpeen_health")
    assert crane.external_references == (ExternalReference("craneId", "Part", "craneId"),)
    assert crane.health == Health(ok=True, message="lifts 7 t")
    assert crane.error is None


def test_an_unknown_name_is_a_start_up_error(install: Install) -> None:
    install("crane", CRANE)
    with pytest.raises(UnknownPluginError) as caught:
        load_plugins(parse_registry("[plugins.crnae]", file="plant.toml"))
    assert caught.value.exit_code == 2
    assert str(caught.value) == "plugin crnae: plant.toml switches it on, but it is not installed"
    assert caught.value.hint == "did you mean 'crane'? installed plugins: crane, erp, qif, step"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module", "plugin hoist: can't be imported: ModuleNotFoundError: "),
        ("syntax error", "plugin hoist: can't be imported: SyntaxError: "),
        ("raise SystemExit(3)", "plugin hoist: can't be imported: SystemExit: 3"),
        (
            "from dotpeen.hooks import hookimpl\n@hookimpl\ndef dotpeen_no_such_hook(): ...",
            "plugin hoist: does not fit: there is no hook dotpeen_no_such_hook",
        ),
        (
            "from dotpeen.hooks import hookimpl\n@hookimpl\ndef dotpeen_health(registry, weather): ...",
            "plugin hoist: does not fit: dotpeen_health has no parameter weather; it has registry",
        ),
        (
            "from dotpeen.hooks import hookimpl\n@hookimpl\ndef dotpeen_helth(registry): ...",
            "plugin hoist: does not fit: there is no hook dotpeen_helth: did you mean dotpeen_health?",
        ),
        (
            "from dotpeen.hooks import hookimpl\n@hookimpl\ndef dotpeen_health(registri): ...",
            "plugin hoist: does not fit: dotpeen_health has no parameter registri: did you mean registry?",
        ),
    ],
)
def test_a_plugin_that_cant_be_loaded_is_named_and_takes_nothing_down(
    install: Install, caplog: pytest.LogCaptureFixture, source: str, error: str
) -> None:
    install("hoist", source)
    install("crane", CRANE)
    plugins = load_plugins(parse_registry("[plugins.hoist]\n[plugins.crane]"))
    assert str(plugins.failed["hoist"]).startswith(error)
    assert caplog.messages == [str(plugins.failed["hoist"])]
    described = {plugin.name: plugin for plugin in plugins.describe()}
    assert described["hoist"].error == str(plugins.failed["hoist"])
    assert described["hoist"].hooks == ()
    assert described["crane"].health == Health(ok=True, message="lifts 5 t")


def test_a_hook_that_raises_is_named_and_the_others_answer(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        "hoist", "from dotpeen.hooks import hookimpl\n@hookimpl\ndef dotpeen_health(registry): return 1 / 0"
    )
    install("crane", CRANE)
    plugins = load_plugins(parse_registry("[plugins.crane]\n[plugins.hoist]"))
    caplog.set_level(logging.DEBUG, logger="dotpeen.plugins")
    answers = plugins.call("dotpeen_health", registry=plugins.registry)
    assert answers == (("crane", Health(ok=True, message="lifts 5 t")),)
    assert caplog.messages == [
        "plugin hoist: dotpeen_health failed: ZeroDivisionError: division by zero (installed_hoist.py:3)"
    ]
    assert caplog.records[0].exc_info is not None


def test_an_error_names_the_last_line_of_the_plugins_own_code(
    install: Install, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("hoist", "import json\n\njson.loads('no')")
    plugins = load_plugins(parse_registry("[plugins.hoist]"))
    assert str(plugins.failed["hoist"]).endswith("(char 0) (installed_hoist.py:3)")
    assert plugins.failed["hoist"].hint == "DOTPEEN_DEBUG=1 shows the traceback"
    monkeypatch.setenv("DOTPEEN_DEBUG", "1")
    load_plugins(parse_registry("[plugins.hoist]"))
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


def test_wrong_settings_name_file_line_and_key(install: Install) -> None:
    install("crane", CRANE)
    registry = parse_registry("[plugins.crane]\nlimti = 1\nlimit = 'x'", file="plant.toml")
    with pytest.raises(RegistryError) as caught:
        load_plugins(registry)
    assert caught.value.file == "plant.toml"
    assert sorted(caught.value.problems, key=str) == [
        Problem(
            "plugins.crane.limit",
            "input should be a valid integer, unable to parse string as an integer, not 'x'",
            3,
        ),
        Problem("plugins.crane.limti", "unknown key", 2, "did you mean 'limit'?"),
    ]


def test_two_plugins_of_one_name_are_refused(install: Install) -> None:
    install("crane", CRANE)
    install("crane", CRANE, distribution="other")
    with pytest.raises(ConfigurationError, match="two plugins are named 'crane'"):
        load_plugins(parse_registry(""))


def test_our_three_plugins_use_the_same_hooks(repository: Path) -> None:
    described = load_plugins(load_registry(repository / "registry.toml")).describe()
    assert {plugin.name: plugin.external_references for plugin in described} == {
        "erp": (ExternalReference("erpPartId", "Part", "erpPartId"),),
        "qif": (),
        "step": (ExternalReference("stepAp242Uuid", "Part", "stepAp242Uuid", "uuid"),),
    }
    assert all(plugin.enabled and plugin.health and plugin.health.ok for plugin in described)


def test_an_import_that_hangs_is_not_waited_for_and_adds_nothing_later(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dotpeen.plugins.plugins.IMPORT_SECONDS", 0.25)
    install("hoist", "import time\ntime.sleep(0.5)\n" + dedent(CRANE))
    install("qif2", CRANE.replace("'crane'", "'qif2'"))
    plugins = load_plugins(parse_registry("[plugins.hoist]\n[plugins.qif2]\n[entities.Part]"))
    assert str(plugins.failed["hoist"]) == "plugin hoist: can't be imported: no answer within 0.25 s"
    time.sleep(0.35)
    assert plugins.hooks("hoist") == ()
    assert [name for name, _ in plugins.call("dotpeen_health")] == ["qif2"]


def test_a_settings_model_that_breaks_is_the_plugins_fault(install: Install) -> None:
    source = """
        from pydantic import BaseModel, field_validator

        class Settings(BaseModel):
            limit: int = 5

            @field_validator("limit")
            @classmethod
            def _fits(cls, value):
                return 1 / 0
    """
    install("hoist", source)
    plugins = load_plugins(parse_registry("[plugins.hoist]\nlimit = 1"))
    assert str(plugins.failed["hoist"]) == (
        "plugin hoist: can't be imported: ZeroDivisionError: division by zero (installed_hoist.py:10)"
    )
