"""What makes an exported step needless: a query over the catalog as it is when the script runs."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from dotpeen.migration.emit.script import composed, raw
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.sql import (
    FILL_TRIGGER,
    FOLLOW_TRIGGER,
    KEEP_TRIGGER,
    SCHEMA,
    SIDECAR_TRIGGERS,
    EntitySql,
    literal,
    table_identifier,
)
from dotpeen.registry import TableName

_SIDECAR_FUNCTIONS: Final = ("issue", "rekey", "retire", "truncate")


def pending(step: Step, target: Target) -> str | None:
    """Return a query that is true while the step has to run; None for the backfill, which keeps count itself."""
    if step.references and step.stage is Stage.EXPAND:
        return composed("SELECT NOT ({})", raw(_referenced(step, target)))
    condition = _CONDITIONS.get(step.stage)
    done = condition(step, target, EntitySql(target)) if condition else None
    return None if done is None else composed("SELECT NOT ({})", raw(done))


def trigger_present(table: TableName, trigger: str) -> str:
    """A condition: the table has this trigger."""
    return composed(
        "EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = pg_catalog.to_regclass({}) AND tgname = {})",
        regclass(table),
        literal(trigger),
    )


def column_present(table: TableName, column: str) -> str:
    """A condition: the table has this column."""
    return composed(
        "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass({}) AND attname = {}"
        " AND NOT attisdropped)",
        regclass(table),
        literal(column),
    )


def regclass(table: TableName) -> sql.Literal:
    """A table's quoted name as a literal, for `to_regclass`."""
    return literal(table_identifier(table).as_string())


def index_valid(table: TableName, index: str) -> str:
    """A condition: the index is there and valid."""
    return composed(
        "EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass({}) AND indisvalid"
        " AND indisready)",
        regclass(TableName(table.schema, index)),
    )


def not_null(target: Target) -> str:
    """A condition: the UUID column is NOT NULL, and validated so."""
    return composed(
        "EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = pg_catalog.to_regclass({})"
        " AND a.attname = {} AND a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS o"
        " WHERE o.conrelid = a.attrelid AND o.contype = 'n' AND o.conkey = ARRAY[a.attnum] AND NOT o.convalidated))",
        regclass(target.table.name),
        literal(target.entity.uuid.column),
    )


def _expanded(step: Step, target: Target, names: EntitySql) -> str | None:
    if step.lock is not Lock.NONE:
        if target.entity.uuid.storage == "sidecar":
            return " AND ".join(trigger_present(step.table, name) for name in SIDECAR_TRIGGERS)
        triggers = [trigger_present(step.table, name) for name in (FILL_TRIGGER, *names.guards)]
        return " AND ".join([column_present(step.table, target.entity.uuid.column), *triggers])
    if all(statement.startswith("DROP FUNCTION IF EXISTS") for statement in step.sql):
        return None
    if step.sql[0].startswith("CREATE OR REPLACE"):
        made = ("fill", "carry") if any("carry_" in statement for statement in step.sql) else ("fill",)
        purposes = _SIDECAR_FUNCTIONS if target.entity.uuid.storage == "sidecar" else made
        return " AND ".join(_function_present(names, purpose) for purpose in purposes)
    return composed(
        "pg_catalog.to_regclass({}) IS NOT NULL", regclass(TableName("dotpeen", names.sidecar_name))
    )


def _referenced(step: Step, target: Target) -> str:
    columns = [
        column_present(step.table, one.column) for one in target.declared if one.name in step.references
    ]
    if step.table.schema == SCHEMA:
        return trigger_present(step.table, FOLLOW_TRIGGER)
    return " AND ".join([*columns, f"NOT {trigger_present(step.table, KEEP_TRIGGER)}"])


def _indexed(step: Step, target: Target, names: EntitySql) -> str:
    column = next((one.column for one in target.declared if one.name in step.references), None)
    if step.mode == "autocommit":
        if target.entity.uuid.storage == "sidecar":
            return index_valid(TableName("dotpeen", ""), f"{names.sidecar_name}_uuid_key")
        return index_valid(step.table, names.index_name_for(step.table.name, column))
    if not step.sql[0].startswith("CREATE"):
        parent = next(part.parent for part in target.table.partitions if part.name == step.table)
        return composed(
            "EXISTS (SELECT FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_index AS x ON x.indexrelid = i.inhrelid"
            " WHERE x.indrelid = pg_catalog.to_regclass({}) AND i.inhparent = pg_catalog.to_regclass({}))",
            regclass(step.table),
            regclass(TableName(parent.schema, names.index_name_for(parent.name, column))),
        )
    made = TableName(step.table.schema, names.index_name_for(step.table.name, column))
    return composed("pg_catalog.to_regclass({}) IS NOT NULL", regclass(made))


def _enforced(step: Step, target: Target, names: EntitySql) -> str:
    if step.mode == "autocommit":
        name = next(
            name
            for name in (names.not_null_name, names.format_name)
            if step.sql[0].endswith(sql.Identifier(name).as_string())
        )
        return f"NOT {_constraint(target, name, ' AND NOT convalidated')}"
    if any(statement.endswith("NOT VALID") for statement in step.sql):
        conditions = []
        for name in (names.not_null_name, names.format_name):
            if any(sql.Identifier(name).as_string() in one for one in step.sql):
                present = _constraint(target, name, "")
                conditions.append(
                    f"({present} OR {not_null(target)})" if name == names.not_null_name else present
                )
        return " AND ".join(conditions)
    final = [not_null(target)]
    if target.server_version < 180000:
        final.append(f"NOT {_constraint(target, names.not_null_name, '')}")
    if any("UNIQUE USING INDEX" in statement for statement in step.sql):
        final.append(_constraint(target, names.index_name, ""))
    return " AND ".join(final)


def _function_present(names: EntitySql, purpose: str) -> str:
    signature = literal(f"{names.function(purpose).as_string()}()")
    return composed("pg_catalog.to_regprocedure({}) IS NOT NULL", signature)


def _constraint(target: Target, name: str, more: str) -> str:
    return composed(
        "EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass({}) AND conname = {}{})",
        regclass(target.table.name),
        literal(name),
        raw(more),
    )


_CONDITIONS: Final = {Stage.EXPAND: _expanded, Stage.INDEX: _indexed, Stage.ENFORCE: _enforced}
