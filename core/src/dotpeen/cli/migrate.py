"""`dotpeen migrate`: plan, up, status, verify, down, export, and the controls of a running migration."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

import psycopg
import typer
from rich.live import Live

from dotpeen.cli import migrate_output as output
from dotpeen.cli.context import Context, EntityOption, JsonOption, PhaseOption, YesOption, current, exit_code
from dotpeen.database.connect import describe
from dotpeen.database.schema import is_installed
from dotpeen.errors import ConfigurationError, DotpeenError, MigrationStoppedError
from dotpeen.migration import Runner, Stage, down, journal, throttle
from dotpeen.migration.rollback import switch_guard
from dotpeen.migration.status import EntityProgress, read_progress, read_references
from dotpeen.plugins import load_plugins
from dotpeen.registry import Entity

app = typer.Typer(help="Add UUIDs to live tables: plan, run, watch, verify, roll back.", no_args_is_help=True)

ToOption = Annotated[Stage | None, typer.Option("--to", help="Stop after this stage.")]


def _entities(context: Context, phase: int | None, entity: list[str] | None) -> tuple[Entity, ...]:
    return context.registry.select(phase=phase, names=tuple(entity or ()))


@app.command("plan")
def plan(
    context: typer.Context,
    phase: PhaseOption = None,
    entity: EntityOption = None,
    to: ToOption = None,
    sql: Annotated[bool, typer.Option("--sql", help="Show every step's SQL and undo.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every step with its lock, its estimated time and its undo, and what preflight finds; change nothing."""
    shared = current(context)
    entities = _entities(shared, phase, entity)
    with Runner(shared.url, shared.registry, entities, plugins=load_plugins(shared.registry)) as runner:
        made = runner.plan(to=to or Stage.VERIFY)
    if as_json:
        shared.print_json(output.plan_document(made))
    else:
        chosen = [
            *(["--phase", str(phase)] if phase is not None else []),
            *(f"--entity={one}" for one in entity or ()),
        ]
        chosen += ["--to", to] if to else []
        command = shared.command("migrate", "up", *chosen)
        output.print_plan(shared.out, made, server=describe(shared.url), sql=sql, command=command)
    if any(finding.level == "error" for finding in made.findings):
        raise typer.Exit(1)


@app.command("up")
def up(
    context: typer.Context,
    phase: PhaseOption = None,
    entity: EntityOption = None,
    to: ToOption = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=64, help="Backfill workers here.")
    ] = 1,
    between: Annotated[
        str | None,
        typer.Option("--between", metavar="HH:MM-HH:MM", help="Backfill only in this window (local time)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Migrate, from wherever it stands, to verified UUIDs.

    Safe to interrupt, to kill and to run again; run it on several machines at once to backfill with more workers.
    """
    shared = current(context)
    window = throttle.Window.parse(between) if between else None
    entities = _entities(shared, phase, entity)
    with output.Display(shared.err) as display:
        display.message(f"Migrating {describe(shared.url)}")
        try:
            with Runner(
                shared.url, shared.registry, entities, notify=display, plugins=load_plugins(shared.registry)
            ) as runner:
                checks = runner.up(to=to or Stage.VERIFY, workers=workers, window=window)
        except KeyboardInterrupt as interrupt:
            display.message("Interrupted: every finished batch is committed. Go on with: dotpeen migrate up")
            raise typer.Exit(exit_code(interrupt)) from None
        except MigrationStoppedError as stopped:
            display.message(f"{stopped.message}. {(stopped.hint or '').capitalize()}")
            raise typer.Exit(1) from None
    if as_json:
        shared.print_json({"stage": str(to or Stage.VERIFY), "checks": checks})
    elif checks:
        output.print_checks(shared.out, checks, all_of_them=False)
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(1)


@app.command("status")
def status(
    context: typer.Context,
    phase: PhaseOption = None,
    entity: EntityOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it, live; end with Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how far each entity is: stage, rows, percent, rate, ETA, batch size, waits.

    The same is in the view `dotpeen.progress` for psql.
    """
    shared = current(context)
    entities = _entities(shared, phase, entity)
    contributed = load_plugins(shared.registry).external_references()
    with shared.connect("status") as connection:

        def read() -> list[EntityProgress]:
            found = read_progress(connection, entities)
            states = read_references(connection, shared.registry, entities, contributed)
            return [replace(one, references=states.get(one.entity, {})) for one in found]

        if as_json:
            shared.print_json(read())
            return
        if not watch:
            shared.out.print(output.progress_view(read()))
            return
        try:
            with Live(output.progress_view(read()), console=shared.out, auto_refresh=False) as live:
                while True:
                    time.sleep(1)
                    live.update(output.progress_view(read()), refresh=True)
        except KeyboardInterrupt:
            return


@app.command("verify")
def verify(
    context: typer.Context,
    phase: PhaseOption = None,
    entity: EntityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove it: counts, nulls, duplicates, form, rows before and after, keys, guard, index, lookups.

    Ends with 1 when a check fails.
    """
    shared = current(context)
    entities = _entities(shared, phase, entity)
    with Runner(shared.url, shared.registry, entities, plugins=load_plugins(shared.registry)) as runner:
        _require_installed(runner)
        checks = runner.verify()
    if as_json:
        shared.print_json({"passed": all(check.outcome != "failed" for check in checks), "checks": checks})
    else:
        output.print_checks(shared.out, checks)
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(1)


@app.command("down")
def down_command(
    context: typer.Context,
    phase: PhaseOption = None,
    entity: EntityOption = None,
    to: Annotated[Stage | None, typer.Option("--to", help="Undo only the stages after this one.")] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Roll back. Every UUID issued is kept, and every external reference: migrating again gives them back."""
    shared = current(context)
    entities = _entities(shared, phase, entity)
    names = ", ".join(e.name for e in entities)
    shared.confirm(f"Roll back {names}{f' to {to}' if to else ''} in {describe(shared.url)}?", yes=yes)
    with output.Display(shared.err) as display:
        display.message(f"Migrating {describe(shared.url)}")
        try:
            with Runner(shared.url, shared.registry, entities, notify=display) as runner:
                _require_installed(runner)
                kept = down(runner, to=to)
        except KeyboardInterrupt as interrupt:
            display.message(
                "Interrupted: no issued UUID is lost. Go on with: dotpeen migrate down; or back: dotpeen migrate up"
            )
            raise typer.Exit(exit_code(interrupt)) from None
    if as_json:
        shared.print_json({"to": str(to) if to else None, "kept": kept})
        return
    for name, count in kept.items():
        where = "the column was there before and keeps its UUIDs"
        if count is not None:
            where = f"{count:,} issued UUIDs are kept in dotpeen.issued"
        shared.out.print(f"{name}: rolled back; {where}", soft_wrap=True)


@app.command("pause")
def pause(context: typer.Context, as_json: JsonOption = False) -> None:
    """Let all backfill workers, on every machine, stand still after their batch."""
    with current(context).connect("control") as connection:
        _require_schema(connection)
        throttle.pause(connection, journal.actor())
        journal.record(connection, "pause", outcome="noted")
    _said(context, "Paused. Go on with: dotpeen migrate resume", {"paused": True}, as_json=as_json)


@app.command("resume")
def resume(context: typer.Context, as_json: JsonOption = False) -> None:
    """Let paused workers go on."""
    with current(context).connect("control") as connection:
        _require_schema(connection)
        was_paused = throttle.resume(connection)
        if was_paused:
            journal.record(connection, "resume", outcome="noted")
    message = "Resumed." if was_paused else "Nothing was paused."
    _said(context, message, {"paused": False, "was_paused": was_paused}, as_json=as_json)


@app.command("stop")
def stop(context: typer.Context, as_json: JsonOption = False) -> None:
    """Let all backfill workers, on every machine, end after their batch; `migrate up` goes on from there."""
    with current(context).connect("control") as connection:
        _require_schema(connection)
        throttle.stop(connection, journal.actor())
        journal.record(connection, "stop", outcome="noted")
    _said(context, "Asked to stop. Go on with: dotpeen migrate up", {"stopped": True}, as_json=as_json)


@app.command("guard")
def guard(
    context: typer.Context,
    switch: Annotated[str, typer.Argument(metavar="on|off", help="Which way.")],
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Whose UUIDs.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the journal.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn the guard that keeps issued UUIDs from changing off, and on again. The journal keeps who, when and why."""
    shared = current(context)
    if switch not in ("on", "off"):
        raise ConfigurationError(f"{switch!r} is neither on nor off")
    if not reason.strip():
        raise ConfigurationError("an empty --reason explains nothing")
    (chosen,) = _entities(shared, None, [entity])
    if switch == "off":
        shared.confirm(
            f"Anyone who may write {chosen.table} can then change issued UUIDs. Turn the guard off?", yes=yes
        )
    with Runner(shared.url, shared.registry, (chosen,)) as runner:
        _require_installed(runner)
        changed = switch_guard(runner, chosen, on=switch == "on", reason=reason)
    message = f"The guard of {chosen.name} {'is' if changed else 'was already'} {switch}."
    _said(context, message, {"entity": chosen.name, "guard": switch, "changed": changed}, as_json=as_json)


@app.command("journal")
def journal_command(
    context: typer.Context,
    entity: Annotated[
        str | None, typer.Option("--entity", "-e", metavar="NAME", help="Only this entity.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="The newest N entries.")
    ] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what ran: when, by whom, how long, lock wait and hold, rows."""
    shared = current(context)
    with shared.connect("journal") as connection:
        _require_schema(connection)
        entries = journal.read(connection, entity=entity, limit=limit)
    if entity is not None and not entries:
        # An entity of former days may still have its history; one that never was is a slip of the pen.
        shared.registry.select(names=(entity,))
    if as_json:
        shared.print_json(entries)
    else:
        for entry in entries:
            print(output.journal_line(entry))


def _said(context: typer.Context, message: str, document: dict[str, Any], *, as_json: bool) -> None:
    current(context).err.print(message)
    if as_json:
        current(context).print_json(document)


def _require_installed(runner: Runner) -> None:
    _require_schema(runner.connection)


def _require_schema(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    if not is_installed(connection):
        raise DotpeenError(
            "nothing was migrated in this database yet", hint="begin with: dotpeen migrate plan"
        )
