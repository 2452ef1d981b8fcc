"""The migration as data: stages, steps, locks and the plan. Nothing here touches a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from dotpeen.database import Table
from dotpeen.registry import Entity, TableName


class Stage(StrEnum):
    """The five stages, in order."""

    EXPAND = "expand"
    BACKFILL = "backfill"
    INDEX = "index"
    ENFORCE = "enforce"
    VERIFY = "verify"

    @property
    def position(self) -> int:
        """0 for expand to 4 for verify."""
        return list(Stage).index(self)


class Lock(StrEnum):
    """The strongest table lock a step takes (PostgreSQL documentation, 13.3.1)."""

    NONE = "none"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def blocks(self) -> str:
        """What other sessions can't do while it is held."""
        return {
            Lock.NONE: "nothing",
            Lock.ROW_EXCLUSIVE: "the rows of the current batch, for writers",
            Lock.SHARE_UPDATE_EXCLUSIVE: "schema changes and VACUUM",
            Lock.SHARE_ROW_EXCLUSIVE: "writes",
            Lock.ACCESS_EXCLUSIVE: "reads and writes, for milliseconds",
        }[self]


Mode = Literal["transaction", "autocommit", "rows", "check"]
"""How a step runs: its statements in one transaction, each on its own, row batches, or read-only checks."""


@dataclass(frozen=True)
class Step:
    """One thing the migration does, with everything a reviewer asks about it."""

    entity: str
    stage: Stage
    name: str
    table: TableName
    sql: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    lock: Lock = Lock.NONE
    mode: Mode = "transaction"
    long: bool = False
    """Waits for other transactions or scans the table: its time grows with the data."""
    done: bool = False
    rows: int | None = None
    seconds: float | None = None
    """Estimated run time; None for a step of milliseconds."""
    lock_first: bool = True
    """Take the lock by LOCK TABLE, to know how long it is held; that needs more rights than TRIGGER alone."""
    references: tuple[str, ...] = ()
    """The external references that it is about; none for a step of the UUID."""


@dataclass(frozen=True)
class EntityState:
    """What `dotpeen.entity` remembers of an entity's migration."""

    entity: str
    stage: Stage | None
    """The last stage completed."""
    before: dict[str, Any]
    """What the table had before: `column`, `default`, `not_null`, `unique` (see `expand`)."""
    rows_before: int | None = None


@dataclass(frozen=True)
class Reference:
    """An external reference of an entity: what a plugin declares, and what is remembered and kept of it."""

    name: str
    column: str
    type: Literal["text", "uuid"]
    plugin: str
    storage: Literal["column", "sidecar"] = "column"
    """`sidecar`: in `dotpeen.external_value`, where the table may not be altered."""
    declared: bool = True
    """An enabled plugin contributes it."""
    before: Mapping[str, Any] | None = None
    """What the table had before: `column`, `unique`; None until it is migrated."""
    kept: bool = False
    """`dotpeen.external_kept` holds values of it from before a rollback."""

    @property
    def created(self) -> bool:
        """Whether its column is ours to drop."""
        return self.storage == "column" and self.before is not None and not self.before.get("column")


@dataclass(frozen=True)
class Target:
    """An entity held against its table: what the stages build their steps from."""

    entity: Entity
    table: Table
    server_version: int
    namespace: UUID | None = None
    state: EntityState | None = None
    sidecar: Table | None = None
    """The entity's partition of `dotpeen.identity`, once it exists."""
    restore: bool = False
    """`dotpeen.issued` holds UUIDs of this entity from before a rollback."""
    functions: Mapping[str, str] = field(default_factory=dict)
    """The functions in schema `dotpeen`: name and body."""
    parts: Mapping[TableName, Table] = field(default_factory=dict)
    """The tables below a partitioned one, leaves and those between."""
    backfilled: bool = False
    """Every row had a UUID when the backfill last ended."""
    verified: bool = False
    """The last verification passed."""
    references: tuple[Reference, ...] = ()
    """Those that enabled plugins declare, then those that are only remembered."""

    @property
    def declared(self) -> tuple[Reference, ...]:
        """The external references that are to be."""
        return tuple(reference for reference in self.references if reference.declared)

    @property
    def new_columns(self) -> dict[str, str]:
        """The columns that the migration will add, with their types."""
        uuid = self.entity.uuid
        wanted: dict[str, str] = {uuid.column: uuid.type} if uuid.storage == "column" else {}
        wanted |= {one.column: one.type for one in self.declared if one.storage == "column"}
        return {name: type_ for name, type_ in wanted.items() if name not in self.table.columns}

    @property
    def created_column(self) -> bool:
        """Whether the column is ours to drop."""
        return self.state is not None and not self.state.before.get("column", False)

    @property
    def not_null(self) -> bool:
        """Whether the database itself lets no row be without a UUID."""
        column = self.table.columns.get(self.entity.uuid.column)
        return self.entity.uuid.storage == "column" and column is not None and column.not_null

    @property
    def completed_all(self) -> bool:
        """Whether every stage was completed."""
        return self.completed(Stage.VERIFY)

    def completed(self, stage: Stage) -> bool:
        """Whether the stage was completed, by what is remembered."""
        return (
            self.state is not None
            and self.state.stage is not None
            and self.state.stage.position >= stage.position
        )


CheckResult = tuple[Literal["ok", "failed", "note"], str]
"""Outcome and detail of one check."""


@dataclass(frozen=True)
class Finding:
    """Something preflight noticed; an `error` keeps the migration from starting."""

    level: Literal["error", "warning", "note"]
    entity: str
    subject: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything a migration will do, and what preflight found."""

    database: str
    server_version: int
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...] = ()
    bytes: Mapping[str, int] = field(default_factory=dict)
    """Size of each entity's table with its indexes."""

    @property
    def pending(self) -> tuple[Step, ...]:
        """The steps that are not done yet."""
        return tuple(step for step in self.steps if not step.done)
