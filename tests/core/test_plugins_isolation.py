"""A plugin that raises, hangs or answers rubbish: named, logged, left out; everything else works."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from threading import Event
from types import ModuleType
from typing import Any

import psycopg
import pytest
import typer
from fastapi import APIRouter
from typer.main import get_group

from dotpeen import hooks
from dotpeen.cli.app import app
from dotpeen.cli.groups import Commands
from dotpeen.database import Connection, connect
from dotpeen.errors import ConfigurationError, PluginError
from dotpeen.hooks import (
    ApiRouter,
    DigitalModel,
    Exporter,
    ExternalReference,
    Health,
    Importer,
    ModelEntity,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
    hookimpl,
)
from dotpeen.plugins import RESERVED_COMMANDS, Plugins
from dotpeen.registry import parse_registry

HOOKS = sorted(name for name in vars(hooks) if name.startswith("dotpeen_"))
UUID = "0b0b3f4e-8f7e-4d52-9a55-0a6d5c8d2f11"
WELL: dict[str, Any] = {
    "dotpeen_external_references": [ExternalReference("craneId", "Part", "craneId")],
    "dotpeen_exporters": [Exporter("card", "text/plain", ".txt", ("Part",), open=print)],
    "dotpeen_importers": [Importer("card", (".txt",), read=print)],
    "dotpeen_api_routers": [ApiRouter(APIRouter(), "Part")],
    "dotpeen_commands": [typer.Typer(name="crane")],
    "dotpeen_verification_checks": [VerificationCheck("all well", print)],
    "dotpeen_thread_entries": [ThreadEntry("card", "7")],
    "dotpeen_resolve_uuid": [RecordReference("Part", UUID, "card")],
    "dotpeen_digital_models": [
        DigitalModel("Crane", "crane.stp", "STEPAP242", UUID, (ModelEntity(UUID, "pmi", "HOOK"),))
    ],
    "dotpeen_health": Health(ok=True),
}
MODEL: DigitalModel = WELL["dotpeen_digital_models"][0]


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="dotpeen.plugins")


@pytest.fixture
def session(server_url: str) -> Iterator[Connection]:
    """A session on the server of the run."""
    with connect(server_url, purpose="test") as connection:
        yield connection


def site(timeout: float = 5.0, **plugins: dict[str, Callable[..., Any]]) -> Plugins:
    """A site whose plugins have the hooks given, as functions."""
    sections = "\n".join(f"[plugins.{name}]" for name in plugins)
    found = Plugins(parse_registry(f"[entities.Part]\nbusiness_id = 'number'\n{sections}"), timeout=timeout)
    for name, functions in plugins.items():
        module = ModuleType(name)
        for hook, function in functions.items():
            setattr(module, hook, hookimpl(function))
        found._manager.register(module, name)
    return found


def answering(value: Any) -> Callable[..., Any]:
    def answer() -> Any:
        return value

    return answer


def ask(plugins: Plugins, hook: str, connection: Any = None) -> tuple[tuple[str, Any], ...]:
    entity = plugins.registry.entities["Part"]
    given = {"entity": entity, "uuid": UUID, "count": 1, "operation": "update", "fields": ()}
    return plugins.call(hook, connection=connection, **given)


@pytest.mark.parametrize("hook", HOOKS)
def test_one_that_raises_is_named_and_the_others_are_asked(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> Any:
        raise RuntimeError("rope torn\nin two")

    asked = []

    def well() -> Any:
        asked.append(hook)
        return WELL.get(hook)

    plugins = site(hoist={hook: failing}, crane={hook: well})
    assert [name for name, _ in ask(plugins, hook)] == (["crane"] if hook in WELL else [])
    assert asked == [hook]
    assert caplog.messages == [f"plugin hoist: {hook} failed: RuntimeError: rope torn in two"]
    assert str(plugins.failed["hoist"]) == caplog.messages[0]
    ask(plugins, hook)
    assert len(caplog.messages) == 1, "said once"


@pytest.mark.parametrize("hook", HOOKS)
def test_one_that_hangs_is_not_waited_for_and_not_asked_again_until_it_is_back(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []
    released = Event()

    def hanging() -> Any:
        asked.append(hook)
        released.wait(10)
        return WELL.get(hook)

    plugins = site(hoist={hook: hanging}, crane={hook: answering(WELL.get(hook))}, timeout=0.2)
    there = ["crane"] if hook in WELL else []
    assert [name for name, _ in ask(plugins, hook)] == there
    assert str(plugins.failed["hoist"]) == f"plugin hoist: {hook} failed: no answer within 0.2 s"
    assert [name for name, _ in ask(plugins, hook)] == there
    assert plugins.failed["hoist"].message.endswith(
        f"{hook} failed: not called: {hook} has not come back yet"
    )
    assert (len(asked), len(caplog.messages)) == (1, 1)
    released.set()
    while plugins._patience.busy("hoist"):
        time.sleep(0.01)
    ask(plugins, hook)
    assert len(asked) == 2, "a plugin that is back is asked again"


def test_a_hook_that_is_well_again_is_no_longer_a_failure() -> None:
    answers = iter([ValueError("wet"), Health(ok=True)])

    def unsteady() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    plugins = site(hoist={"dotpeen_health": unsteady})
    assert plugins.call("dotpeen_health") == ()
    assert "hoist" in plugins.failed
    assert plugins.call("dotpeen_health") == (("hoist", Health(ok=True)),)
    assert plugins.failed == {}


@pytest.mark.parametrize("ends", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_one_that_would_end_the_program_does_not(ends: BaseException) -> None:
    def quitting() -> Any:
        raise ends

    plugins = site(hoist={"dotpeen_health": quitting}, crane={"dotpeen_health": answering(Health(ok=True))})
    assert plugins.call("dotpeen_health") == (("crane", Health(ok=True)),)
    assert type(ends).__name__ in plugins.failed["hoist"].message


class Unreadable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("hook", "answer", "reason"),
    [
        ("dotpeen_digital_models", ["crane.stp"], "item 1: 'crane.stp' is no DigitalModel"),
        (
            "dotpeen_digital_models",
            [replace(MODEL, file_name="C:\\cad\\crane.stp")],
            r"item 1: file_name 'C:\\cad\\crane.stp' has a folder: give the name alone",
        ),
        ("dotpeen_digital_models", [replace(MODEL, name=" ")], "item 1: name ' ' is no text"),
        ("dotpeen_digital_models", [replace(MODEL, uuid="7")], "item 1: uuid '7' is no UUID"),
        ("dotpeen_digital_models", [replace(MODEL, entities=None)], "item 1: entities None are no tuple"),
        (
            "dotpeen_digital_models",
            [replace(MODEL, entities=(UUID,))],
            f"item 1: entity 1: '{UUID}' is no ModelEntity",
        ),
        (
            "dotpeen_digital_models",
            [MODEL, replace(MODEL, entities=(*MODEL.entities, ModelEntity(UUID[:-1], "pmi")))],
            f"item 2: entity 2: uuid '{UUID[:-1]}' is no UUID",
        ),
        (
            "dotpeen_digital_models",
            [replace(MODEL, entities=MODEL.entities * 100_001)],
            "item 1: there are more than 100,000 entities: leave out those that nobody refers to",
        ),
        ("dotpeen_health", 7, "7 is no Health"),
        ("dotpeen_health", Unreadable(), "a value of Unreadable is no Health"),
        ("dotpeen_health", Health(ok=1), "ok 1 is neither True nor False"),
        ("dotpeen_exporters", "card", "'card' is no list of Exporter"),
        ("dotpeen_exporters", ["card"], "item 1: 'card' is no Exporter"),
        (
            "dotpeen_exporters",
            [Exporter("QIF 3", "text/plain", ".txt", ("Part",), open=print)],
            "item 1: format 'QIF 3' is not lower-case letters, digits and hyphens",
        ),
        (
            "dotpeen_exporters",
            [Exporter("a", "text/plain\r\nx: y", ".txt", ("Part",), open=print)],
            "item 1: media_type 'text/plain\\r\\nx: y' is not a media type",
        ),
        (
            "dotpeen_exporters",
            [Exporter("a", "text/plain", "../x", ("Part",), open=print)],
            "item 1: extension '../x' is not an extension with its dot",
        ),
        (
            "dotpeen_exporters",
            [Exporter("a", "text/plain", ".txt", "Part", open=print)],
            "item 1: entities 'Part' is no tuple of texts",
        ),
        (
            "dotpeen_exporters",
            [Exporter("a", "text/plain", ".txt", ("Prat",), open=print)],
            "item 1: entities 'Prat' is not in the registry",
        ),
        (
            "dotpeen_exporters",
            [Exporter("a", "text/plain", ".txt", ("Part",), open=None)],
            "item 1: open is no plain function",
        ),
        ("dotpeen_exporters", [*WELL["dotpeen_exporters"]] * 2, "format card is taken: it already has one"),
        (
            "dotpeen_importers",
            [Importer("a", (".QIF",), read=print)],
            "item 1: extensions: '.QIF' is no extension with its dot, in lower case",
        ),
        (
            "dotpeen_external_references",
            [ExternalReference("craneId", "Crane", "craneId")],
            "item 1: entity 'Crane' is not in the registry",
        ),
        (
            "dotpeen_external_references",
            [ExternalReference("craneId", "Part", "c" * 64)],
            f"item 1: column '{'c' * 64}' is longer than 63 bytes",
        ),
        (
            "dotpeen_external_references",
            [ExternalReference("a", "Part", "c"), ExternalReference("b", "Part", "c")],
            "column c of Part is taken: it already has one",
        ),
        (
            "dotpeen_api_routers",
            [ApiRouter("/load", "Part")],
            "item 1: router '/load' is no fastapi.APIRouter",
        ),
        ("dotpeen_commands", [typer.Typer()], "item 1: the group has no name: say typer.Typer(name=...)"),
        (
            "dotpeen_commands",
            [typer.Typer(name="migrate")],
            "item 1: the group's name 'migrate' is that of a command of Dotpeen",
        ),
        ("dotpeen_verification_checks", [VerificationCheck("", print)], "item 1: name '' is no text"),
        (
            "dotpeen_thread_entries",
            [ThreadEntry("card", "7", at=datetime(2026, 1, 1))],
            "item 1: at datetime.datetime(2026, 1, 1, 0, 0) is no datetime with a time zone",
        ),
        (
            "dotpeen_thread_entries",
            [ThreadEntry("card", "7", details={"a": object})],
            "item 1: details can't be written as JSON: ",
        ),
        (
            "dotpeen_resolve_uuid",
            [RecordReference("Part", "7", "card")],
            "item 1: uuid '7' is no UUID",
        ),
    ],
)
def test_rubbish_is_named_and_left_out(hook: str, answer: Any, reason: str) -> None:
    plugins = site(hoist={hook: answering(answer)}, crane={hook: answering(WELL[hook])})
    assert [name for name, _ in ask(plugins, hook)] == ["crane"]
    assert plugins.failed["hoist"].message.startswith(f"plugin hoist: {hook} failed: {reason}")


def test_uuids_of_models_come_in_lower_case_whatever_the_file_has(session: Connection) -> None:
    shouted = replace(MODEL, uuid=UUID.upper(), entities=[ModelEntity(UUID.upper(), "pmi", "HOOK")])
    plugins = site(crane={"dotpeen_digital_models": answering([shouted])})
    part = plugins.registry.entities["Part"]
    assert plugins.digital_models(session, part, UUID) == (("crane", MODEL),)


def test_an_asynchronous_hook_is_rubbish() -> None:
    async def health() -> Health:
        return Health(ok=True)

    plugins = site(hoist={"dotpeen_health": health})
    assert plugins.call("dotpeen_health") == ()
    assert plugins.failed["hoist"].message.endswith("the hook is asynchronous; it has to be a plain function")


@pytest.mark.parametrize(
    ("hook", "taken"),
    [
        ("dotpeen_exporters", "format card"),
        ("dotpeen_importers", "format card"),
        ("dotpeen_commands", "command crane"),
        ("dotpeen_external_references", "Part.craneId"),
    ],
)
def test_of_two_plugins_the_first_in_the_registry_keeps_a_name(hook: str, taken: str) -> None:
    same = {hook: answering(WELL[hook])}
    plugins = site(crane=same, hoist=same)
    assert [name for name, _ in ask(plugins, hook)] == ["crane"]
    assert plugins.failed["hoist"].message.endswith(f"{hook} failed: {taken} is taken: plugin crane has one")


def test_contributions_are_asked_once_and_come_with_the_plugins_name() -> None:
    asked = []

    def exporters() -> Any:
        asked.append(1)
        return WELL["dotpeen_exporters"]

    plugins = site(
        crane={**{hook: answering(value) for hook, value in WELL.items()}, "dotpeen_exporters": exporters}
    )
    part = plugins.registry.entities["Part"]
    for found, hook in (
        (plugins.external_references(), "dotpeen_external_references"),
        (plugins.exporters(), "dotpeen_exporters"),
        (plugins.exporters(), "dotpeen_exporters"),
        (plugins.importers(), "dotpeen_importers"),
        (plugins.api_routers(), "dotpeen_api_routers"),
        (plugins.commands(), "dotpeen_commands"),
        (plugins.verification_checks(part), "dotpeen_verification_checks"),
    ):
        assert found == (("crane", WELL[hook][0]),)
    assert len(asked) == 1


def test_a_plugin_can_only_read_and_leaves_the_session_as_it_was(session: Connection) -> None:
    def writing(connection: Connection) -> Any:
        connection.execute("SET LOCAL work_mem = '1MB'")
        connection.execute("CREATE TABLE public.mine ()")

    def well(connection: Connection) -> Any:
        row = connection.execute("SELECT current_setting('work_mem') <> '1MB'").fetchone()
        assert row == (True,)
        return [ThreadEntry("card", "7")]

    hook = "dotpeen_thread_entries"
    plugins = site(hoist={hook: writing}, crane={hook: well})
    assert plugins.thread_entries(session, plugins.registry.entities["Part"], UUID) == (
        ("crane", ThreadEntry("card", "7")),
    )
    assert "ReadOnlySqlTransaction" in plugins.failed["hoist"].message
    session.execute("CREATE TEMPORARY TABLE still_writable ()")


def test_a_statement_that_takes_too_long_is_ended_and_the_session_lives(session: Connection) -> None:
    def sleeping(connection: Connection) -> Any:
        connection.execute("SELECT pg_sleep(10)")

    hook = "dotpeen_resolve_uuid"
    plugins = site(hoist={hook: sleeping}, crane={hook: answering(WELL[hook])}, timeout=0.2)
    assert plugins.resolve_uuid(session, UUID) == (("crane", RecordReference("Part", UUID, "card")),)
    assert "QueryCanceled" in plugins.failed["hoist"].message
    assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_a_plugin_hangs_on_is_closed(
    session: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dotpeen.plugins.plugins.GRACE_SECONDS", 0.0)

    def hanging() -> Any:
        time.sleep(0.3)

    plugins = site(hoist={"dotpeen_resolve_uuid": hanging}, timeout=0.05)
    assert plugins.resolve_uuid(session, UUID) == ()
    with pytest.raises(psycopg.OperationalError, match="closed"):
        session.execute("SELECT 1")


def test_changes_are_told_in_their_order_and_nobody_waits() -> None:
    told = []

    def slow(registry: Any, entity: Any, uuid: str, operation: str, fields: Any) -> None:
        time.sleep(0.2)
        told.append((entity.name, uuid, operation, fields))

    def failing() -> None:
        raise RuntimeError

    plugins = site(hoist={"dotpeen_record_changed": failing}, crane={"dotpeen_record_changed": slow})
    part = plugins.registry.entities["Part"]
    began = time.monotonic()
    plugins.record_changed(part, "one", "create", ["number"])
    plugins.record_changed(part, "two", "update", [])
    assert time.monotonic() - began < 0.2
    assert plugins.drain()
    assert told == [("Part", "one", "create", ("number",)), ("Part", "two", "update", ())]
    assert "hoist" in plugins.failed


def test_a_contributed_function_that_fails_is_named() -> None:
    plugins = site()
    with pytest.raises(
        PluginError, match="plugin crane: export card failed: ZeroDivisionError: division by zero"
    ):
        plugins.run("crane", "export card", lambda: 1 / 0)
    with pytest.raises(PluginError, match=r"plugin crane: export card failed: no answer within 0\.01 s"):
        plugins.run("crane", "export card", lambda: time.sleep(0.1), timeout=0.01)
    with pytest.raises(ConfigurationError, match="meant for the user"):
        plugins.run("crane", "export card", lambda: _raise(ConfigurationError("meant for the user")))
    assert plugins.run("crane", "export card", lambda: 7) == 7


def _raise(error: Exception) -> None:
    raise error


def test_reserved_names_are_those_of_our_commands() -> None:
    group = get_group(app)
    assert isinstance(group, Commands)
    assert set(group.commands) <= RESERVED_COMMANDS
