"""Run the migration forward: stage by stage, each idempotent, shared with the same command running elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from dotpeen.conformance import conformance, contributed_columns
from dotpeen.contributions import VerificationCheck
from dotpeen.database import Catalog, Connection, connect, read_catalog
from dotpeen.database.schema import upgrade
from dotpeen.errors import DotpeenError, PreflightError
from dotpeen.migration import backfill, journal, ledger, references, state
from dotpeen.migration.events import (
    Event,
    Noticed,
    Notify,
    RowsDone,
    StageCompleted,
    StepFinished,
    StepStarted,
    Waiting,
    ignore,
)
from dotpeen.migration.locks import BlockerWatch, LockTimes, run_alone, run_locked, wait_for_writers
from dotpeen.migration.model import Finding, Lock, Plan, Stage, Step, Target
from dotpeen.migration.plan import APPLY, make_plan, require_sound
from dotpeen.migration.throttle import Throttle, Window
from dotpeen.migration.verification import Check, verify, violations
from dotpeen.plugins import Plugins
from dotpeen.registry import Entity, Registry

_ATTEMPTS = 5
"""How often a concurrent build is begun again after a deadlock or a cancelled statement."""


class Runner:
    """Plans, runs and verifies the migration of some entities. A context manager: it owns two sessions."""

    def __init__(
        self,
        url: str,
        registry: Registry,
        entities: Sequence[Entity],
        *,
        notify: Notify = ignore,
        plugins: Plugins | None = None,
    ) -> None:
        self.url = url
        self.registry = registry
        self.entities = tuple(entities)
        self.plugins = plugins
        self.references = plugins.external_references() if plugins is not None else ()
        """What enabled plugins contribute."""
        self._watcher = notify
        self.connection = connect(url, purpose="migrate")
        self.watch = BlockerWatch(url)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        self.watch.close()
        self.connection.close()

    def notify(self, event: Event) -> None:
        """Tell whoever watches, and the plugins, what happened."""
        self._watcher(event)
        if isinstance(event, RowsDone) and event.rows and self.plugins is not None:
            entity = self.registry.entities[event.entity]
            self.plugins.call("dotpeen_uuids_issued", entity=entity, count=event.rows)

    def plan(self, *, to: Stage = Stage.VERIFY) -> Plan:
        """Plan, with everything that conformance and preflight find; changes nothing."""
        catalog, targets = self.targets()
        findings = tuple(
            Finding(f.level, f.entity, f.key, f.message, f.hint)
            for f in conformance(
                self.registry,
                self._whole(catalog, targets),
                self.entities,
                contributed=contributed_columns(one for _, one in self.references),
            )
        )
        broken = {f.entity for f in findings if f.level == "error"}
        sound = {
            name: target for name, target in targets.items() if target is not None and name not in broken
        }
        return make_plan(self.connection, catalog, sound, to=to, findings=findings)

    def up(self, *, to: Stage = Stage.VERIFY, workers: int = 1, window: Window | None = None) -> list[Check]:
        """Bring every entity to a stage; returns the checks if that is verify.

        Safe to run again at any time, and at the same time elsewhere. Raises `PreflightError` before anything
        is changed, `MigrationStoppedError` when asked to stop.
        """
        plan = self.plan(to=to)
        require_sound(plan)
        for finding in plan.findings:
            if finding.level == "warning":
                self.notify(Noticed(finding))
        upgrade(self.url)
        backfill.sign_off_dead(self.connection)
        with Throttle(self.url, self.registry.migration, window=window) as throttle:
            for entity in self.entities:
                for stage in Stage:
                    if stage.position <= min(to.position, Stage.ENFORCE.position):
                        self._bring(entity, stage, workers=workers, throttle=throttle)
        return self.verify() if to is Stage.VERIFY else []

    def verify(self) -> list[Check]:
        """Check every entity and remember which passed."""
        targets = [self.target(entity) for entity in self.entities]
        started = time.monotonic()
        checks = verify(self.connection, targets, self._plugin_checks())
        for target in targets:
            failed = [c for c in checks if c.entity in ("", target.entity.name) and c.outcome == "failed"]
            if target.state is None:
                continue
            if not failed and target.completed(Stage.ENFORCE):
                self.connection.execute(
                    "UPDATE dotpeen.entity SET verified_at = pg_catalog.clock_timestamp(), stage = 'verify'"
                    " WHERE name = %s",
                    [target.entity.name],
                )
                self.notify(StageCompleted(target.entity.name, Stage.VERIFY))
            journal.record(
                self.connection,
                "verify",
                outcome="failed" if failed else "done",
                entity=target.entity.name,
                stage=Stage.VERIFY,
                seconds=time.monotonic() - started,
                detail={c.name: [c.outcome, c.detail] for c in checks if c.entity == target.entity.name},
            )
        return checks

    def targets(self) -> tuple[Catalog, dict[str, Target | None]]:
        """Hold every entity against its table as it is now."""
        return state.load_targets(self.connection, self.registry, self.entities, self.references)

    def target(self, entity: Entity) -> Target:
        """Hold an entity against its table as it is now."""
        _, targets = state.load_targets(self.connection, self.registry, [entity], self.references)
        target = targets[entity.name]
        if target is None:
            raise PreflightError(f"{entity.name}: table {entity.table} is gone")
        return target

    @contextmanager
    def alone(self, entity: Entity) -> Iterator[None]:
        """Keep the same command elsewhere off this entity's schema; waits until it is our turn."""
        key = f"dotpeen {entity.name}"
        told = False
        while not self._one(
            "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%s, 0))", [key]
        ):
            if not told:
                self.notify(Waiting(entity.name, "another `dotpeen migrate` works on its schema"))
                told = True
            time.sleep(0.2)
        if told:
            self.notify(Waiting(entity.name, None))
        try:
            yield
        finally:
            if not self.connection.closed:
                self.connection.execute(
                    "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(%s, 0))", [key]
                )

    def execute(self, step: Step) -> None:
        """Run one step, journal it, and tell about it."""
        self.notify(StepStarted(step))
        started = time.monotonic()
        try:
            times = self._run(step)
        except (psycopg.Error, DotpeenError) as error:
            if not self.connection.closed and not self.connection.broken:
                journal.record(
                    self.connection,
                    step.name,
                    outcome="failed",
                    entity=step.entity,
                    stage=step.stage,
                    statements=step.sql,
                    seconds=time.monotonic() - started,
                    lock=step.lock,
                    detail={"error": str(error)},
                )
            raise
        seconds = time.monotonic() - started
        wait, held = (times.waited, times.held) if times else (None, None)
        self.notify(StepFinished(step, seconds, lock_wait=wait, lock_held=held))

    def _bring(self, entity: Entity, stage: Stage, *, workers: int, throttle: Throttle) -> None:
        if stage is Stage.BACKFILL:
            self._backfill(entity, workers=workers, throttle=throttle)
            return
        with self.alone(entity):
            target = self.target(entity)
            if stage is Stage.EXPAND:
                state.register(self.connection, target)
                references.register(self.connection, target)
            # Looked at again afterwards: a partition may have come in between.
            while pending := [step for step in APPLY[stage](target) if not step.done]:
                for step in pending:
                    self.execute(step)
                target = self.target(entity)
            self._complete(entity, stage)

    def _backfill(self, entity: Entity, *, workers: int, throttle: Throttle) -> None:
        while True:
            with self.alone(entity):
                target = self.target(entity)
                if target.completed(Stage.BACKFILL) and target.not_null:
                    return
                started = time.monotonic()
                if target.sidecar is not None:
                    self._retire_orphans(target)
                backfill.prepare(self.connection, target)
                # Also when it was completed before: a partition attached since may have brought rows without.
                if backfill.is_finished(self.connection, target) and backfill.finish_pass(
                    self.connection, target
                ):
                    if not target.completed(Stage.BACKFILL):
                        self._finish_backfill(target)
                    return
            (step,) = APPLY[Stage.BACKFILL](target)
            self.notify(StepStarted(step))
            backfill.run(
                self.url,
                target,
                self.registry.migration,
                workers=workers,
                throttle=throttle,
                notify=self.notify,
            )
            self.notify(StepFinished(step, time.monotonic() - started))

    def _retire_orphans(self, target: Target) -> None:
        started = time.monotonic()
        if not (rows := ledger.retire_orphans(self.connection, target)):
            return
        journal.record(
            self.connection,
            "retire identities of rows that are gone",
            entity=target.entity.name,
            stage=Stage.BACKFILL,
            rows=rows,
            seconds=time.monotonic() - started,
        )
        # A key inserted again meanwhile met the identity that then went: once committed, the backfill sees the row.
        wait_for_writers(
            self.connection,
            [target.table.oid, *(part.oid for part in target.parts.values())],
            tell=lambda reason: self.notify(Waiting(target.entity.name, reason)),
        )

    def _finish_backfill(self, target: Target) -> None:
        entity = target.entity
        row = self.connection.execute(
            "SELECT rows_done, extract(epoch FROM pg_catalog.clock_timestamp() - started_at)::float8"
            " FROM dotpeen.progress WHERE entity = %s",
            [entity.name],
        ).fetchone()
        if target.sidecar is not None:
            # While the entity was rolled back no trigger saw which records went.
            references.retire_values(self.connection, target)
        journal.record(
            self.connection,
            "backfill",
            entity=entity.name,
            stage=Stage.BACKFILL,
            rows=row[0] if row else None,
            seconds=row[1] if row else None,
        )
        self._complete(entity, Stage.BACKFILL)

    def _complete(self, entity: Entity, stage: Stage) -> None:
        state.complete(self.connection, entity.name, stage)
        self.notify(StageCompleted(entity.name, stage))

    def _run(self, step: Step) -> LockTimes | None:
        def tell(reason: str | None) -> None:
            self.notify(Waiting(step.entity, reason))

        if step.mode == "autocommit":
            self._run_autocommit(step, tell)
            return None
        if step.mode == "rows":
            started = time.monotonic()
            target = self.target(self.registry.entities[step.entity])
            rows = references.give_back(self.connection, target)
            self._record(step, seconds=time.monotonic() - started, rows=rows)
            return None
        if step.lock is Lock.NONE:
            with self.connection.transaction():
                for statement in step.sql:
                    self.connection.execute(statement.encode())
                self._record(step)
            return None
        entry = 0

        def work(connection: Connection) -> None:
            nonlocal entry
            for statement in step.sql:
                connection.execute(statement.encode())
            entry = self._record(step)

        started = time.monotonic()
        times = run_locked(
            self.connection,
            step.table,
            step.lock,
            work,
            settings=self.registry.migration,
            watch=self.watch,
            tell=tell,
            only=step.stage is Stage.INDEX,
            lock_first=step.lock_first,
        )
        journal.complete(
            self.connection,
            entry,
            seconds=time.monotonic() - started,
            lock_wait=times.waited,
            lock_held=times.held,
            attempts=times.attempts,
        )
        return times

    def _run_autocommit(self, step: Step, tell: Callable[[str | None], None]) -> None:
        started = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                run_alone(self.connection, step.sql, watch=self.watch, tell=tell)
                break
            except psycopg.errors.UniqueViolation as error:
                what = step.references[0] if step.references else "UUID"
                raise DotpeenError(
                    f"{step.entity}: the unique index can't be built: {error.diag.message_detail}",
                    hint=f"a writer put the same {what} into two rows since preflight; correct one and run"
                    " `migrate up`",
                ) from None
            except (psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation) as error:
                wrong = violations(self.connection, self.target(self.registry.entities[step.entity]))
                raise DotpeenError(
                    f"{step.entity}: {error.diag.message_primary}: {wrong}",
                    hint="a writer did that since preflight; correct it (`dotpeen migrate guard off` lets you)"
                    " and run `migrate up`",
                ) from None
            except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                if attempt == _ATTEMPTS:
                    raise
                step = self._again(step)
        self._record(step, seconds=time.monotonic() - started)

    def _again(self, step: Step) -> Step:
        """Look at the catalog anew: what failed may have left an invalid index to drop first."""
        entity = self.registry.entities[step.entity]
        renewed = [
            s
            for s in APPLY[step.stage](self.target(entity))
            if (s.table, s.mode, s.references) == (step.table, step.mode, step.references)
        ]
        return renewed[0] if renewed else step

    def _record(self, step: Step, *, seconds: float | None = None, rows: int | None = None) -> int:
        return journal.record(
            self.connection,
            step.name,
            entity=step.entity,
            stage=step.stage,
            statements=step.sql,
            lock=step.lock,
            seconds=seconds,
            rows=rows,
        )

    def _plugin_checks(self) -> dict[str, list[tuple[str, VerificationCheck]]]:
        if self.plugins is None:
            return {}
        return {
            entity.name: [(plugin, check) for plugin, check in self.plugins.verification_checks(entity)]
            for entity in self.entities
        }

    def _whole(self, catalog: Catalog, targets: dict[str, Target | None]) -> Catalog:
        """For "did you mean": all tables, when one is missing."""
        return catalog if all(targets.values()) else read_catalog(self.connection)

    def _one(self, query: str, parameters: list[object]) -> bool:
        row = self.connection.execute(query.encode(), parameters).fetchone()
        return bool(row and row[0])
