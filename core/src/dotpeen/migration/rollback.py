"""Roll back, stage by stage, without losing a UUID that was issued; and the switch of the guard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen.migration import journal, ledger, references, state
from dotpeen.migration.events import Notify, StageCompleted
from dotpeen.migration.locks import run_locked
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.plan import REMOVE
from dotpeen.migration.runner import Runner
from dotpeen.migration.sql import EntitySql
from dotpeen.migration.stages import references as reference_steps
from dotpeen.migration.throttle import WORKER_PURPOSE
from dotpeen.registry import Entity

_FAREWELL_SECONDS = 3
"""A session that was closed is listed for a moment longer."""


def down(runner: Runner, *, to: Stage | None = None) -> dict[str, int | None]:
    """Undo every stage after `to` (None: all), last entity first.

    Returns, per entity rolled back whole, how many UUIDs the ledger keeps; None where the column was there before and
    stays with its UUIDs. Can be killed and run again.
    """
    kept: dict[str, int | None] = {}
    for entity in reversed(runner.entities):
        with runner.alone(entity):
            target = runner.target(entity)
            if target.state is None:
                continue
            _refuse_what_is_not_ours(target)
            _refuse_while_filling(runner, entity)
            for stage in reversed(Stage):
                if to is None or stage.position > to.position:
                    _undo(runner, entity, stage)
            if to is None:
                stays = entity.uuid.storage == "column" and not target.created_column
                kept[entity.name] = None if stays else _ledger_size(runner, entity)
    return kept


def switch_guard(runner: Runner, entity: Entity, *, on: bool, reason: str) -> bool:
    """Turn the guard of an entity's UUIDs on or off; the journal keeps who, when and why.

    Returns whether it was the other way before; else nothing is done and nothing journalled.
    """
    target = runner.target(entity)
    names = EntitySql(target)
    sidecar = entity.uuid.storage == "sidecar"
    table = target.sidecar if sidecar else target.table
    guards = [trigger.name for trigger in table.triggers if trigger.name in names.guards] if table else []
    if table is None or not guards:
        raise ConfigurationError(f"{entity.name} has no guard yet", hint="it comes with `dotpeen migrate up`")
    tables = (table, *(() if sidecar else target.parts.values()))
    states = {trigger.enabled for one in tables for trigger in one.triggers if trigger.name in guards}
    if states == {"A" if on else "D"}:
        return False
    change = sql.SQL("ENABLE ALWAYS TRIGGER {}" if on else "DISABLE TRIGGER {}")
    statement = sql.SQL("ALTER TABLE {} {}").format(
        names.sidecar if sidecar else names.table,
        sql.SQL(", ").join(change.format(sql.Identifier(guard)) for guard in guards),
    )

    def work(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        connection.execute(statement)
        journal.record(
            connection,
            "guard on" if on else "guard off",
            outcome="noted",
            entity=entity.name,
            statements=(statement.as_string(),),
            lock=Lock.SHARE_ROW_EXCLUSIVE,
            detail={"reason": reason},
        )

    run_locked(
        runner.connection,
        table.name,
        Lock.SHARE_ROW_EXCLUSIVE,
        work,
        settings=runner.registry.migration,
        watch=runner.watch,
        tell=lambda reason: None,
    )
    return True


def _undo(runner: Runner, entity: Entity, stage: Stage) -> None:
    connection = runner.connection
    if stage is Stage.VERIFY:
        connection.execute("UPDATE dotpeen.entity SET verified_at = NULL WHERE name = %s", [entity.name])
    elif stage is Stage.BACKFILL:
        # The UUIDs stay; only the bookkeeping goes, so that a later backfill looks at every row again.
        with connection.transaction():
            connection.execute("DELETE FROM dotpeen.backfill WHERE entity = %s", [entity.name])
            connection.execute("DELETE FROM dotpeen.worker WHERE entity = %s", [entity.name])
    elif stage is Stage.EXPAND:
        _take_away(runner, entity)
        references.forget(connection, runner.target(entity))
        state.forget(connection, entity.name)
        runner.notify(StageCompleted(entity.name, stage))
        return
    else:
        _run(runner, entity, stage)
    previous = list(Stage)[stage.position - 1]
    state.set_stage(connection, entity.name, previous)
    runner.notify(StageCompleted(entity.name, stage))


def _take_away(runner: Runner, entity: Entity) -> None:
    """Keep every UUID, then drop what Dotpeen made."""
    while True:
        target = runner.target(entity)
        partitions = target.table.leaves
        _keep_references(runner, target)
        _keep_issued(runner, target)
        # From here on the column may be gone, and rightly so.
        state.set_stage(runner.connection, entity.name, None)
        try:
            _run(runner, entity, Stage.EXPAND)
        except psycopg.errors.ObjectNotInPrerequisiteState:
            # A partition came while the others were copied: its UUIDs are to be kept too.
            if partitions == runner.target(entity).table.leaves:
                raise
        else:
            return


def _run(runner: Runner, entity: Entity, stage: Stage) -> None:
    target = runner.target(entity)
    if stage is Stage.EXPAND and entity.uuid.storage == "sidecar":
        # Issuing ends first; what was issued until then is copied; then the partition goes.
        steps = REMOVE[stage](target)
        for step in steps:
            if step.name == "drop sidecar partition":
                ledger.copy_sidecar(runner.connection, runner.target(entity))
            if not step.done:
                runner.execute(step)
        return
    for step in REMOVE[stage](target):
        if step.done:
            continue
        try:
            runner.execute(step)
        except psycopg.errors.DependentObjectsStillExist as error:
            raise DotpeenError(
                f"{entity.name}: {error.diag.message_primary}: {error.diag.message_detail}",
                hint="drop or change what depends on the column first; then run `dotpeen migrate down` again",
            ) from None


def _keep_references(runner: Runner, target: Target) -> None:
    """Keep the values of the columns that go; those of a sidecar stay where they are."""
    if not references.to_keep(target):
        return
    _copy(
        runner,
        target,
        "copy external references to dotpeen.external_kept",
        capture=reference_steps.capture(target),
        copy=references.keep,
    )


def _keep_issued(runner: Runner, target: Target) -> None:
    column = target.table.columns.get(target.entity.uuid.column)
    if target.entity.uuid.storage == "sidecar":
        if target.sidecar is not None:
            ledger.copy_sidecar(runner.connection, target)
        return
    if column is None or not target.created_column:
        return
    _copy(
        runner,
        target,
        "copy issued UUIDs to the ledger",
        capture=ledger.capture(target),
        copy=ledger.copy_column,
    )


def _copy(
    runner: Runner,
    target: Target,
    action: str,
    *,
    capture: Sequence[Step],
    copy: Callable[[Connection, Target, Notify], int],
) -> None:
    """Watch what changes from now on, then copy what is there."""
    started = time.monotonic()
    for step in capture:
        if not step.done:
            runner.execute(step)
    rows = copy(runner.connection, target, runner.notify)
    journal.record(
        runner.connection,
        action,
        entity=target.entity.name,
        stage=Stage.EXPAND,
        rows=rows,
        seconds=time.monotonic() - started,
    )


def _refuse_what_is_not_ours(target: Target) -> None:
    """Triggers can be created with a grant, but dropped only by the table's owner."""
    if target.table.owned:
        return
    ours = [trigger.name for trigger in target.table.triggers if trigger.name.startswith("zz_dotpeen_")]
    if ours:
        drops = " ".join(f'DROP TRIGGER "{name}" ON {EntitySql(target).table.as_string()};' for name in ours)
        raise DotpeenError(
            f"{target.entity.name}: {target.table.name} belongs to {target.table.owner}, who alone can drop triggers",
            hint=f"roll back as a role that has both, or have its owner run: {drops}",
        )


def _refuse_while_filling(runner: Runner, entity: Entity) -> None:
    deadline = time.monotonic() + _FAREWELL_SECONDS
    while rows := runner.connection.execute(
        "SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = %s"
        " AND datname = pg_catalog.current_database()",
        [f"dotpeen {WORKER_PURPOSE} {entity.name}"[:63]],
    ).fetchall():
        if time.monotonic() < deadline:
            time.sleep(0.1)
            continue
        raise DotpeenError(
            f"{entity.name}: {len(rows)} workers are filling it (backend pids {', '.join(str(r[0]) for r in rows)})",
            hint="end them first: dotpeen migrate stop",
        )


def _ledger_size(runner: Runner, entity: Entity) -> int:
    row = runner.connection.execute(
        "SELECT count(*) FROM dotpeen.issued WHERE entity = %s", [entity.name]
    ).fetchone()
    return int(row[0]) if row else 0
