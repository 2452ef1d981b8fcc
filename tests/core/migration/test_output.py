"""How plan and journal look: every line can be read and copied."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from dotpeen.cli.context import Context
from dotpeen.cli.migrate_output import journal_line, print_plan
from dotpeen.migration.journal import JournalEntry
from dotpeen.migration.model import Finding, Lock, Plan, Stage, Step
from dotpeen.registry import TableName

STEP = Step("Part", Stage.EXPAND, "add column", TableName("public", "Part"), lock=Lock.ACCESS_EXCLUSIVE)


def printed(plan: Plan, command: str = "dotpeen migrate up") -> list[str]:
    stream = io.StringIO()
    print_plan(Console(file=stream, width=80), plan, server="here", sql=False, command=command)
    return stream.getvalue().splitlines()


def test_a_plan_ends_with_the_command_that_runs_it() -> None:
    command = "dotpeen -r a/registry/of/a/site/with/a/long/name.toml migrate up --phase 2 --entity=Part"
    assert printed(Plan("d", 180000, (STEP,)), command)[-1] == f"Run it with: {command}"


@pytest.mark.parametrize(
    ("message", "line"),
    [("no index", "   note  Part: no index"), ("Part, Lot: free text", "   note  Part, Lot: free text")],
)
def test_a_finding_names_its_entity_once(message: str, line: str) -> None:
    assert line in printed(Plan("d", 180000, (STEP,), (Finding("note", "Part", "entities", message),)))


def test_a_command_is_for_the_same_registry() -> None:
    assert Context().command("serve") == "dotpeen serve"
    assert Context(Path("my site.toml")).command("migrate", "up") == "dotpeen -r 'my site.toml' migrate up"


def test_an_entry_of_the_journal_is_one_line() -> None:
    entry = JournalEntry(
        *(datetime(2026, 1, 31, 12, tzinfo=UTC), "mes", "ann@host:7", "Part", "expand", "add column", "done"),
        *(0.004, "ACCESS EXCLUSIVE", 0.0001, 0.0021, 1, 1500, None, {"reason": "two\nlines"}),
    )
    assert journal_line(entry) == (
        "2026-01-31 12:00:00  mes (ann@host:7)  Part  expand  add column: two\ufffdlines  done  4 ms"
        "  waited 0.1 ms for the lock  held it 2.1 ms  1,500 rows"
    )
