"""How the migration looks on a terminal, in a log and as JSON."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from dotpeen.migration import Check, Plan, Step
from dotpeen.migration.events import (
    Event,
    RowsDone,
    RowsPlanned,
    StageCompleted,
    StepFinished,
    StepStarted,
    Waiting,
)
from dotpeen.migration.journal import JournalEntry
from dotpeen.migration.status import EntityProgress

_LEVELS = {"error": "bold red", "warning": "yellow", "note": "dim"}
_OUTCOMES = {"ok": "green", "failed": "bold red", "note": "yellow"}


class Display:
    """Shows events as they come: a bar per backfill on a terminal, a line per step everywhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, str | None] = {}
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
            case RowsPlanned(entity, todo, done):
                if entity in self._bars:
                    self._progress.update(self._bars[entity], total=max(todo, done))
                else:
                    self._bars[entity] = self._progress.add_task(
                        entity, total=max(todo, done, 1), completed=done, rows="", waiting=""
                    )
            case RowsDone(entity, rows, batch_rows, _):
                if entity in self._bars:
                    bar = self._bars[entity]
                    self._progress.update(bar, advance=rows, rows=f"batches of {batch_rows:,}")
            case Waiting(entity, reason):
                self._wait(entity, reason)
            case StepFinished(step, seconds, lock_wait, lock_held):
                held = "" if lock_held is None else f", lock waited {_ms(lock_wait)}, held {_ms(lock_held)}"
                self.message(f"  {step.entity:<24} {step.stage:<9} {step.name}: {_seconds(seconds)}{held}")
            case StageCompleted() | StepStarted():
                pass

    def _wait(self, entity: str, reason: str | None) -> None:
        if self._told.get(entity) == reason:
            return
        self._told[entity] = reason
        if reason is not None:
            self.message(f"  {entity:<24} waits     {reason}")
        if entity in self._bars:
            self._progress.update(self._bars[entity], waiting=reason or "")


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, for `--json`."""
    return {
        "database": plan.database,
        "server_version": plan.server_version,
        "steps": [asdict(step) | {"table": str(step.table), "blocks": step.lock.blocks} for step in plan.steps],
        "findings": plan.findings,
    }


def print_plan(console: Console, plan: Plan, *, sql: bool) -> None:
    """Print the plan as a table, then what preflight found."""
    table = Table(title=f"Migration plan for database {plan.database}", title_justify="left", pad_edge=False)
    for name in ("entity", "stage", "step", "lock", "blocks", "rows", "time", ""):
        table.add_column(name, justify="right" if name in ("rows", "time") else "left", overflow="fold")
    previous = ""
    for step in plan.steps:
        table.add_row(
            step.entity if step.entity != previous else "",
            str(step.stage),
            step.name,
            str(step.lock),
            step.lock.blocks,
            f"{step.rows:,}" if step.rows else "",
            _estimate(step),
            "done" if step.done else "",
            style="dim" if step.done else None,
        )
        previous = step.entity
    console.print(table)
    if sql:
        _print_sql(console, plan.pending)
    for finding in plan.findings:
        subject = f"{finding.entity}: " if finding.entity else ""
        hint = f"\n         → {finding.hint}" if finding.hint else ""
        console.print(
            f"{finding.level:>7}  {subject}{finding.message}{hint}",
            style=_LEVELS[finding.level],
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if not plan.pending:
        console.print("Nothing to do.", style="green")
    elif not any(finding.level == "error" for finding in plan.findings):
        console.print("Run it with: dotpeen migrate up", style="bold")


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print the outcome of every check, then one line of summary."""
    table = Table(title="Verification", title_justify="left", pad_edge=False)
    for name in ("entity", "check", "", "detail"):
        table.add_column(name, overflow="fold")
    previous = None
    for check in checks:
        entity = (check.entity or "all") if check.entity != previous else ""
        style = _OUTCOMES[check.outcome]
        table.add_row(entity, check.name, f"[{style}]{check.outcome}[/]", check.detail)
        previous = check.entity
    console.print(table)
    failed = sum(check.outcome == "failed" for check in checks)
    if failed:
        console.print(f"{failed} of {len(checks)} checks failed.", style="bold red")
    else:
        console.print(f"All {len(checks)} checks passed.", style="bold green")


def progress_table(progress: Sequence[EntityProgress]) -> Table:
    """The state of every entity."""
    table = Table(pad_edge=False)
    for name in ("entity", "stage", "rows", "done", "%", "rows/s", "ETA", "batch", "workers", "waits for"):
        table.add_column(name, justify="left" if name in ("entity", "stage", "waits for") else "right")
    for entry in progress:
        table.add_row(
            entry.entity,
            entry.stage,
            _number(entry.rows_total),
            _number(entry.rows_done),
            "" if entry.percent is None else f"{entry.percent:.1f}",
            _number(entry.rows_per_second),
            "" if entry.eta is None else str(timedelta(seconds=round(entry.eta.total_seconds()))),
            _number(entry.batch_rows),
            _number(entry.workers) if entry.workers else "",
            entry.waiting_for or "",
        )
    return table


def journal_table(entries: Sequence[JournalEntry]) -> Table:
    """The journal, newest last."""
    table = Table(pad_edge=False)
    for name in ("at", "by", "entity", "stage", "action", "outcome", "time", "lock wait", "lock held", "rows"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        table.add_row(
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            f"{entry.role} ({entry.actor})",
            entry.entity or "",
            entry.stage or "",
            entry.action + (f": {entry.detail['reason']}" if entry.detail and "reason" in entry.detail else ""),
            entry.outcome,
            "" if entry.seconds is None else _seconds(entry.seconds),
            _ms(entry.lock_wait_seconds),
            _ms(entry.lock_held_seconds),
            _number(entry.rows),
        )
    return table


def _print_sql(console: Console, steps: Sequence[Step]) -> None:
    for step in steps:
        console.print(f"\n-- {step.entity}: {step.stage}: {step.name}", style="bold", markup=False)
        for statement in step.sql:
            console.print(f"{statement};", markup=False, highlight=False, soft_wrap=True)
        for statement in step.undo:
            console.print(f"-- undo: {statement};", style="dim", markup=False, highlight=False, soft_wrap=True)
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
