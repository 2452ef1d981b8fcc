"""Expand: add the nullable column, give new rows their UUID, and guard every UUID issued.

One transaction, one brief ACCESS EXCLUSIVE lock: there is no moment at which the column exists and a new row
could go without a UUID.
"""

from __future__ import annotations

from psycopg import sql

from dotpeen.database import Table, Trigger
from dotpeen.migration import ledger
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.sql import (
    CAPTURE_TRIGGER,
    CARRY_TRIGGER,
    DEFINER,
    EMPTIED_TRIGGER,
    FILL_TRIGGER,
    KEEP_TRIGGER,
    SIDECAR_TRIGGERS,
    EntitySql,
    literal,
    render,
    table_identifier,
)
from dotpeen.migration.stages import references, sidecar


def apply(target: Target) -> list[Step]:
    """Steps from the table as it is to a column that new rows fill, and to the columns of external references."""
    if target.entity.uuid.storage == "sidecar":
        return [*sidecar.expand(target), *references.apply(target)]
    return [*_apply(target), *references.apply(target)]


def _apply(target: Target) -> list[Step]:
    names = EntitySql(target)
    table, uuid = target.table, target.entity.uuid
    functions = {"fill": fill_function(names)}
    wanted = {FILL_TRIGGER: fill_trigger(names)} | {name: guard_trigger(names, name) for name in names.guards}
    if target.restore and not target.completed(Stage.BACKFILL):
        functions["carry"] = carry_function(names)
        wanted[CARRY_TRIGGER] = carry_trigger(names)
    function_step = Step(
        entity=target.entity.name,
        stage=Stage.EXPAND,
        name=" and ".join(functions) + " function",
        table=table.name,
        sql=render(*functions.values(), *(names.closed("carry") for name in functions if name == "carry")),
        undo=render(*(drop_function(names, purpose) for purpose in functions)),
        done=all(names.has_function(purpose, body) for purpose, body in functions.items()),
    )
    column = table.columns.get(uuid.column)
    statements: list[sql.Composable] = []
    undo: list[sql.Composable] = []
    what: list[str] = []
    if column is None:
        statements.append(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(names.table, names.column, sql.SQL(uuid.type))
        )
        undo.append(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(names.table, names.column))
        what.append("column")
    if names.default is not None and (column is None or column.default is None):
        statements.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                names.table, names.column, names.default
            )
        )
        if column is not None:
            undo.append(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(names.table, names.column)
            )
        what.append("default")
    triggers = {trigger.name: trigger for trigger in table.triggers}
    given_up = [drop_trigger(names, CAPTURE_TRIGGER)] if CAPTURE_TRIGGER in triggers else []
    given_up += _drop_emptied(target)
    if given_up:
        # A rollback that was given up.
        statements += given_up
        what.append("no capture triggers")
    for trigger_name, create in wanted.items():
        if trigger_name not in triggers:
            statements += [create, always(names, trigger_name)]
            undo.append(drop_trigger(names, trigger_name))
            what.append(trigger_name.removeprefix("zz_dotpeen_").replace("_", " ") + " trigger")
    main_step = Step(
        entity=target.entity.name,
        stage=Stage.EXPAND,
        name=", ".join(what) or "column, default, fill and guard triggers",
        table=table.name,
        sql=render(*statements),
        undo=render(*reversed(undo)),
        lock=Lock.ACCESS_EXCLUSIVE,
        done=not statements,
    )
    steps = [function_step, main_step]
    leftover = [p for p in ledger.FUNCTIONS if names.function_name(p) in target.functions]
    if leftover:
        steps.append(
            Step(
                entity=target.entity.name,
                stage=Stage.EXPAND,
                name="drop the capture functions of a rollback that was given up",
                table=table.name,
                sql=render(*(drop_function(names, purpose) for purpose in leftover)),
            )
        )
    return steps


def remove(target: Target) -> list[Step]:
    """Steps back to the table as it was: after its UUIDs were copied to the ledger of issued ones."""
    first = references.remove(target)
    if target.entity.uuid.storage == "sidecar":
        return [*first, *sidecar.remove(target)]
    return [*first, *_remove(target)]


def _remove(target: Target) -> list[Step]:
    names = EntitySql(target)
    table, uuid = target.table, target.entity.uuid
    column = table.columns.get(uuid.column)
    statements: list[sql.Composable] = []
    if column is not None and target.created_column and table.kind == "partitioned":
        statements.append(ledger.require_all_captured(names))
    statements += _drop_emptied(target)
    statements += [drop_trigger(names, trigger.name) for trigger in table.triggers if _ours(trigger)]
    if column is not None and target.created_column:
        statements.append(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(names.table, names.column))
    elif (
        column is not None
        and target.state is not None
        and column.default
        and not target.state.before.get("default")
    ):
        statements.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT").format(names.table, names.column)
        )
    steps = [
        Step(
            entity=target.entity.name,
            stage=Stage.EXPAND,
            name="drop column, default and triggers"
            if target.created_column
            else "drop triggers, keep the column",
            table=table.name,
            sql=render(*statements),
            lock=Lock.ACCESS_EXCLUSIVE,
            done=not statements,
        )
    ]
    leftover = [
        purpose
        for purpose in ("fill", "carry", *ledger.FUNCTIONS)
        if names.function_name(purpose) in target.functions
    ]
    if leftover:
        steps.append(
            Step(
                entity=target.entity.name,
                stage=Stage.EXPAND,
                name="drop trigger functions",
                table=table.name,
                sql=render(*(drop_function(names, purpose) for purpose in leftover)),
            )
        )
    return steps


def fill_function(names: EntitySql) -> sql.Composed:
    """The trigger function that gives a row without a UUID its own."""
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $dotpeen$\n"
        "BEGIN\n  NEW.{column} := {value};\n  RETURN NEW;\nEND\n$dotpeen$"
    ).format(function=names.function("fill"), column=names.column, value=names.typed(names.fresh("new")))


def fill_trigger(names: EntitySql) -> sql.Composed:
    """Fill what a default does not: an explicit NULL."""
    return sql.SQL(
        "CREATE TRIGGER {trigger} BEFORE INSERT ON {table} FOR EACH ROW WHEN (NEW.{column} IS NULL) "
        "EXECUTE FUNCTION {function}()"
    ).format(
        trigger=sql.Identifier(FILL_TRIGGER),
        table=names.table,
        column=names.column,
        function=names.function("fill"),
    )


def guard_trigger(names: EntitySql, trigger: str) -> sql.Composed:
    """Refuse every change of an issued UUID, also one made by another trigger (hence no `UPDATE OF`).

    An AFTER trigger costs other updates no WAL (a BEFORE one 56 bytes a row: it locks the row version first), and sees
    what every BEFORE trigger made of the row. See `EntitySql.guards` for why partitioned tables have both.
    """
    when = "AFTER" if trigger == names.guards[-1] else "BEFORE"
    return sql.SQL(
        "CREATE TRIGGER {trigger} {when} UPDATE ON {table} FOR EACH ROW "
        "WHEN (OLD.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column}) "
        "EXECUTE FUNCTION dotpeen.refuse_uuid_change({entity}, {column_name})"
    ).format(
        trigger=sql.Identifier(trigger),
        when=sql.SQL(when),
        table=names.table,
        column=names.column,
        entity=literal(names.target.entity.name),
        column_name=literal(names.target.entity.uuid.column),
    )


def carry_function(names: EntitySql) -> sql.Composed:
    """The trigger function that takes a rolled back record's UUID along when its key changes before it is filled."""
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} AS $dotpeen$\n"
        "BEGIN\n"
        "  UPDATE dotpeen.issued SET current = false WHERE entity = {entity} AND key = {old} AND current\n"
        "    RETURNING {uuid} INTO NEW.{column};\n"
        "  RETURN NEW;\n"
        "END\n$dotpeen$"
    ).format(
        function=names.function("carry"),
        definer=DEFINER,
        entity=literal(names.target.entity.name),
        old=names.key("old"),
        uuid=names.typed(sql.SQL("uuid")),
        column=names.column,
    )


def carry_trigger(names: EntitySql) -> sql.Composed:
    """While UUIDs are being restored by key: catch keys that change."""
    return sql.SQL(
        "CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW"
        " WHEN (NEW.{column} IS NULL AND {old} IS DISTINCT FROM {new}) EXECUTE FUNCTION {function}()"
    ).format(
        trigger=sql.Identifier(CARRY_TRIGGER),
        table=names.table,
        column=names.column,
        old=names.key("old"),
        new=names.key("new"),
        function=names.function("carry"),
    )


def always(names: EntitySql, trigger: str) -> sql.Composed:
    """Let a trigger fire whatever `session_replication_role` says."""
    return sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(names.table, sql.Identifier(trigger))


def drop_trigger(names: EntitySql, trigger: str) -> sql.Composed:
    """Drop a trigger of ours."""
    return sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), names.table)


def drop_function(names: EntitySql, purpose: str) -> sql.Composed:
    """Drop a trigger function of ours."""
    # A partition that was detached during a rollback took its own trigger along.
    cascade = sql.SQL(" CASCADE" if purpose == "emptied" else "")
    return sql.SQL("DROP FUNCTION IF EXISTS {}(){}").format(names.function(purpose), cascade)


def _drop_emptied(target: Target) -> list[sql.Composed]:
    """Statement triggers are not inherited: each table that holds rows has its own."""
    return [
        sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(EMPTIED_TRIGGER), table_identifier(table.name))
        for table in (target.table, *target.parts.values())
        if _has_trigger(table, EMPTIED_TRIGGER)
    ]


def _has_trigger(table: Table, name: str) -> bool:
    return any(trigger.name == name for trigger in table.triggers)


def _ours(trigger: Trigger) -> bool:
    return trigger.name.startswith("zz_dotpeen_") and trigger.name not in (
        *SIDECAR_TRIGGERS,
        EMPTIED_TRIGGER,
        KEEP_TRIGGER,
    )
