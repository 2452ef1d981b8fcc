"""What the migration tells whoever watches: plain values, sent to one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dotpeen.migration.model import Finding, Stage, Step


@dataclass(frozen=True)
class StepStarted:
    """A step begins."""

    step: Step


@dataclass(frozen=True)
class StepFinished:
    """A step ended well."""

    step: Step
    seconds: float
    lock_wait: float | None = None
    lock_held: float | None = None
    rows: int | None = None


@dataclass(frozen=True)
class StageCompleted:
    """An entity completed a stage."""

    entity: str
    stage: Stage


@dataclass(frozen=True)
class Waiting:
    """Something stands still, and why; `reason` is None when it goes on."""

    entity: str
    reason: str | None


@dataclass(frozen=True)
class RowsDone:
    """A batch was committed by a worker of this process."""

    entity: str
    rows: int
    batch_rows: int
    seconds: float


@dataclass(frozen=True)
class Progressed:
    """How far the backfill of an entity is, by all its workers, here and elsewhere; or the copy to the ledger."""

    entity: str
    todo: int
    done: int
    rows_per_second: float | None = None
    workers: int = 1


@dataclass(frozen=True)
class Noticed:
    """Preflight found something worth knowing that does not keep the migration from starting."""

    finding: Finding


Event: TypeAlias = StepStarted | StepFinished | StageCompleted | Waiting | RowsDone | Progressed | Noticed
Notify: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Watch nothing."""
