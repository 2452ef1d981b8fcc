"""How the migration looks on a terminal, in a log and as JSON."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from rich.console import Console, Group
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dotpeen.migration import Check, Lock, Plan, Stage, Step
from dotpeen.migration.events import (
    Event,
    Noticed,
    Progressed,
    RowsDone,
    StageCompleted,
    StepFinished,
    StepStarted,
    Waiting,
)
from dotpeen.migration.journal import JournalEntry
from dotpeen.migration.model import Finding
from dotpeen.migration.status import EntityProgress

_LEVELS = {"error": "bold red", "warning": "yellow", "note": "dim"}
_OUTCOMES = {"ok": "green", "failed": "bold red", "note": "yellow"}


class Display:
    """Shows events as they come: a bar per backfill on a terminal, a line per stage everywhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, str | None] = {}
        self._finished: list[StepFinished] = []
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            TextColumn("[yellow]{task.fields[waiting]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; called from any thread."""
        with self._lock:
            self._show(event)

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, event: Event) -> None:
        match event:
            case Progressed(entity, todo, done, rate, workers):
                self._advance(entity, todo, done, f"{rate:,.0f} rows/s, {workers} workers" if rate else "")
            case Waiting(entity, reason):
                self._wait(entity, reason)
            case StepFinished():
                self._finished.append(event)
            case StageCompleted(entity, stage):
                self._stage(entity, stage)
            case Noticed(finding):
                self.message(f"  {finding.level}: {_subject(finding)}{finding.message}")
                if finding.hint:
                    self.message(f"      → {finding.hint}")
            case StepStarted() | RowsDone():
                pass

    def _advance(self, entity: str, todo: int, done: int, rows: str) -> None:
        if entity not in self._bars:
            self._bars[entity] = self._progress.add_task(entity, total=1, rows="", waiting="")
        self._progress.update(self._bars[entity], total=max(todo, done, 1), completed=done, rows=rows)

    def _stage(self, entity: str, stage: Stage) -> None:
        steps = [event for event in self._finished if event.step.entity == entity]
        self._finished = [event for event in self._finished if event.step.entity != entity]
        if not steps:
            return
        parts = [_seconds(sum(event.seconds for event in steps))]
        locks = [event for event in steps if event.lock_held is not None]
        if locks:
            parts.append(f"waited {_ms(sum(event.lock_wait or 0 for event in locks))} for locks")
            parts.append(f"longest held {_ms(max(event.lock_held or 0 for event in locks))}")
        self.message(f"  {entity:<22} {stage:<9} {', '.join(parts)}")

    def _wait(self, entity: str, reason: str | None) -> None:
        if self._told.get(entity) == reason:
            return
        self._told[entity] = reason
        if reason is not None:
            self.message(f"  {entity:<22} waits     {reason}")
        if entity in self._bars:
            self._progress.update(self._bars[entity], waiting=reason or "")


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, for `--json`."""
    return {
        "database": plan.database,
        "server_version": plan.server_version,
        "steps": [
            asdict(step) | {"table": str(step.table), "blocks": step.lock.blocks} for step in plan.steps
        ],
        "findings": plan.findings,
        "bytes": plan.bytes,
    }


def print_plan(console: Console, plan: Plan, *, server: str, sql: bool, command: str) -> None:
    """Print the plan as a table, then what preflight found; `command` is what runs it."""
    table = Table(title=f"Plan for {server}", title_justify="left", box=None, pad_edge=False)
    for name in ("stage", "step", "lock", "time", ""):
        table.add_column(name, justify="right" if name == "time" else "left", no_wrap=name != "step")
    for entity in dict.fromkeys(step.entity for step in plan.steps):
        steps = [step for step in plan.steps if step.entity == entity]
        rows = next((f", about {step.rows:,} rows" for step in steps if step.rows), "")
        table.add_row()
        size = f", {decimal(plan.bytes[entity])}" if entity in plan.bytes else ""
        table.add_row(f"[bold]{entity}[/]", f"[dim]table {escape(str(steps[0].table))}{rows}{size}[/]")
        for step in steps:
            done = "[green]done[/]" if step.done else ""
            style = "dim" if step.done else None
            lock = "" if step.lock is Lock.NONE else str(step.lock)
            table.add_row(f"  {step.stage}", escape(step.name), lock, _estimate(step), done, style=style)
    console.print(table)
    for lock in sorted({step.lock for step in plan.pending if step.lock is not Lock.NONE}):
        console.print(f"[dim]{lock} blocks {lock.blocks}.[/]", highlight=False)
    if sql:
        _print_sql(console, plan.pending)
    for finding in plan.findings:
        subject = _subject(finding)
        hint = f"\n         → {finding.hint}" if finding.hint else ""
        console.print(
            f"{finding.level:>7}  {subject}{finding.message}{hint}",
            style=_LEVELS[finding.level],
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    errors = sum(finding.level == "error" for finding in plan.findings)
    if errors:
        what = "1 error keeps" if errors == 1 else f"{errors} errors keep"
        console.print(f"{what} the migration from starting; put that right first.", style="bold red")
    elif not plan.pending:
        console.print("Nothing to do.", style="green")
    else:
        console.print(f"Run it with: {command}", style="bold", markup=False, highlight=False, soft_wrap=True)


def print_checks(console: Console, checks: Sequence[Check], *, all_of_them: bool = True) -> None:
    """Print the outcome of the checks (or only of those that did not simply pass), then one line of summary."""
    shown = [check for check in checks if all_of_them or check.outcome != "ok"]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    previous = None
    for check in shown:
        if check.entity != previous:
            table.add_row(f"[bold]{check.entity or 'all entities'}[/]")
            previous = check.entity
        style = _OUTCOMES[check.outcome]
        table.add_row(f"  {check.name}", f"[{style}]{check.outcome}[/]", escape(check.detail))
    if shown:
        console.print(table)
    failed = sum(check.outcome == "failed" for check in checks)
    if failed:
        console.print(f"{failed} of {len(checks)} checks failed.", style="bold red", highlight=False)
    else:
        console.print(f"All {len(checks)} checks passed.", style="bold green", highlight=False)


def progress_view(progress: Sequence[EntityProgress]) -> Group:
    """The state of every entity, below it what any waits for and its external references; fits 80 columns."""
    table = Table(box=None, pad_edge=False)
    for name in ("entity", "stage", "rows", "%", "rows/s", "ETA", "workers"):
        left = name in ("entity", "stage")
        table.add_column(
            name, justify="left" if left else "right", no_wrap=not left, overflow="fold" if left else "ignore"
        )
    waits: list[Text] = []
    references: list[Text] = []
    for entry in progress:
        filling = entry.rows_todo is not None and entry.finished_at is None
        rows = "" if entry.rows_todo is None else f"{entry.rows_done or 0:,}/{entry.rows_todo:,}"
        table.add_row(
            entry.entity,
            "backfill …" if filling else entry.stage,
            rows,
            "" if entry.percent is None else f"{entry.percent:.1f}",
            _number(entry.rows_per_second),
            "" if entry.eta is None else str(timedelta(seconds=round(entry.eta.total_seconds()))),
            _number(entry.workers) if entry.workers else "",
        )
        if entry.waiting_for:
            waits.append(Text(f"{entry.entity} waits: {entry.waiting_for}", style="yellow"))
        for name, state in entry.references.items():
            style = "dim" if state == "ready" else "yellow"
            references.append(Text(f"external reference {entry.entity}.{name}: {state}", style=style))
    return Group(table, *waits, *references)


def journal_line(entry: JournalEntry) -> str:
    """One entry of the journal on one line, whatever is in it."""
    reason = f": {entry.detail['reason']}" if entry.detail and "reason" in entry.detail else ""
    parts = [f"{entry.at:%Y-%m-%d %H:%M:%S}", f"{entry.role} ({entry.actor})"]
    parts += [part for part in (entry.entity, entry.stage) if part]
    parts += [f"{entry.action}{reason}", entry.outcome]
    if entry.seconds is not None:
        parts.append(_seconds(entry.seconds))
    if entry.lock_wait_seconds is not None:
        parts.append(f"waited {_ms(entry.lock_wait_seconds)} for the lock")
    if entry.lock_held_seconds is not None:
        parts.append(f"held it {_ms(entry.lock_held_seconds)}")
    if entry.rows is not None:
        parts.append(f"{entry.rows:,} rows")
    # Some of it is what somebody typed: nothing in it may speak to the terminal.
    return "".join(c if c.isprintable() else "\ufffd" for c in "  ".join(parts))


def _subject(finding: Finding) -> str:
    """Who a finding is about, unless it begins with that."""
    told = not finding.entity or finding.message.startswith(finding.entity)
    return "" if told else f"{finding.entity}: "


def _print_sql(console: Console, steps: Sequence[Step]) -> None:
    for step in steps:
        console.print(f"\n-- {step.entity}: {step.stage}: {step.name}", style="bold", markup=False)
        for statement in step.sql:
            console.print(f"{statement};", markup=False, highlight=False, soft_wrap=True)
        for statement in step.undo:
            console.print(
                f"-- undo: {statement};", style="dim", markup=False, highlight=False, soft_wrap=True
            )
    console.print()


def _estimate(step: Step) -> str:
    if step.done:
        return ""
    if step.seconds is None:
        return "ms"
    return _seconds(max(step.seconds, 1.0)) if step.seconds > 0.5 else "< 1 s"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
