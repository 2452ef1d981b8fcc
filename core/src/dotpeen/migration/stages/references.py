"""External references in the stage expand: their columns, or what keeps their values beside a table in step.

A column is added empty, under a lock of milliseconds; nothing has to be filled. What a rollback kept is given back.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from dotpeen.migration.model import Lock, Mode, Reference, Stage, Step, Target
from dotpeen.migration.references import listed, to_keep, value_of
from dotpeen.migration.sql import (
    DEFINER,
    FOLLOW_TRIGGER,
    KEEP_TRIGGER,
    SCHEMA,
    EntitySql,
    literal,
    render,
)
from dotpeen.registry import TableName


def apply(target: Target) -> list[Step]:
    """Steps to a place for the values of each reference."""
    columns = [one for one in target.declared if one.storage == "column"]
    beside = [one for one in target.declared if one.storage == "sidecar"]
    steps = [_add_columns(target, columns)] if columns else []
    if any(one.kept for one in columns):
        steps.append(_step(target, [one for one in columns if one.kept], "give back the values", mode="rows"))
    return [*steps, _follow(target, beside)] if beside else steps


def remove(target: Target) -> list[Step]:
    """Drop the columns that Dotpeen made, once their values are kept; others stay."""
    names, gone = EntitySql(target), to_keep(target)
    steps = []
    if gone:
        drops: list[sql.Composable] = [
            sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(names.table, sql.Identifier(one.column))
            for one in gone
        ]
        if target.table.kind == "partitioned":
            drops.insert(0, require_leaves(names))
        if _captured(target):
            drops.insert(0, _drop_capture(names))
        steps.append(_step(target, gone, "drop the columns", render(*drops), lock=Lock.ACCESS_EXCLUSIVE))
    if names.function_name("keep") in target.functions:
        steps.append(_step(target, gone, "drop the capture function", render(drop_function(names))))
    return steps


def capture(target: Target) -> list[Step]:
    """Steps after which every change of a value that is to be kept is kept at once."""
    names, kept = EntitySql(target), to_keep(target)
    body = capture_function(names, kept)
    trigger = render(*capture_trigger(names))
    return [
        _step(
            target,
            kept,
            "capture function",
            render(body, names.closed("keep")),
            done=names.has_function("keep", body),
        ),
        _step(
            target,
            kept,
            "capture trigger",
            () if _captured(target) else trigger,
            lock=Lock.SHARE_ROW_EXCLUSIVE,
            done=_captured(target),
        ),
    ]


def capture_function(names: EntitySql, kept: Sequence[Reference]) -> sql.Composed:
    """The trigger function that keeps what a row has, and retires what it had."""
    pairs = sql.SQL(", ").join(
        sql.SQL("({}, NEW.{}::text)").format(literal(one.name), sql.Identifier(one.column)) for one in kept
    )
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} AS $dotpeen$\n"
        "BEGIN\n"
        "  IF TG_OP = 'UPDATE' THEN\n"
        "    IF {old_key} = {new_key} AND ROW({old}) IS NOT DISTINCT FROM ROW({new}) THEN\n"
        "      RETURN NULL;\n"
        "    END IF;\n"
        "  END IF;\n"
        "  IF TG_OP <> 'INSERT' THEN\n"
        "    UPDATE dotpeen.external_kept AS l SET current = false\n"
        "      WHERE l.entity = {entity} AND l.key = {old_key} AND l.current AND l.name IN ({listed});\n"
        "  END IF;\n"
        "  IF TG_OP <> 'DELETE' THEN\n"
        "    INSERT INTO dotpeen.external_kept (entity, name, key, value, current)\n"
        "      SELECT {entity}, v.name, {new_key}, v.value, true FROM (VALUES {pairs}) AS v(name, value)\n"
        "       WHERE v.value IS NOT NULL\n"
        "      ON CONFLICT (entity, key, name) DO UPDATE SET value = excluded.value, current = true;\n"
        "  ELSE\n"
        "    INSERT INTO dotpeen.external_kept (entity, name, key, value, current)\n"
        "      SELECT {entity}, v.name, {old_key}, v.value, false FROM (SELECT l.name, {old_value} AS value\n"
        "        FROM unnest(ARRAY[{listed}]::text[]) AS l(name)) AS v WHERE v.value IS NOT NULL\n"
        "      ON CONFLICT (entity, key, name) DO NOTHING;\n"
        "  END IF;\n"
        "  RETURN NULL;\n"
        "END\n$dotpeen$"
    ).format(
        function=names.function("keep"),
        definer=DEFINER,
        entity=literal(names.target.entity.name),
        listed=listed(kept),
        pairs=pairs,
        old=sql.SQL(", ").join(sql.Identifier("old", one.column) for one in kept),
        new=sql.SQL(", ").join(sql.Identifier("new", one.column) for one in kept),
        old_value=value_of("old", kept, sql.SQL("l.name")),
        old_key=names.key("old"),
        new_key=names.key("new"),
    )


def capture_trigger(names: EntitySql) -> list[sql.Composed]:
    """Fire it for each row, on every partition, whatever `session_replication_role` says."""
    trigger = sql.Identifier(KEEP_TRIGGER)
    return [
        sql.SQL(
            "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
        ).format(trigger, names.table, names.function("keep")),
        sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(names.table, trigger),
    ]


def follow_trigger(names: EntitySql) -> list[sql.Composed]:
    """Let the values of a record follow its identity in the sidecar."""
    trigger = sql.Identifier(FOLLOW_TRIGGER)
    return [
        sql.SQL(
            "CREATE TRIGGER {} AFTER UPDATE OF key OR DELETE ON {} FOR EACH ROW"
            " EXECUTE FUNCTION dotpeen.follow_identity()"
        ).format(trigger, names.sidecar),
        sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(names.sidecar, trigger),
    ]


def drop_function(names: EntitySql) -> sql.Composed:
    """Drop the capture function."""
    return sql.SQL("DROP FUNCTION IF EXISTS {}()").format(names.function("keep"))


def require_leaves(names: EntitySql) -> sql.Composed:
    """Refuse to go on, under the lock, when a partition came whose values nobody has copied."""
    known = [literal(name) for name in sorted(".".join(leaf) for leaf in names.target.table.leaves)]
    return sql.SQL(
        "DO $dotpeen$\nBEGIN\n"
        "  IF EXISTS (SELECT FROM pg_catalog.pg_partition_tree({table}::pg_catalog.regclass) AS p\n"
        "               JOIN pg_catalog.pg_class AS c ON c.oid = p.relid\n"
        "               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace\n"
        "              WHERE p.isleaf AND n.nspname || '.' || c.relname <> ALL (ARRAY[{known}]::text[])) THEN\n"
        "    RAISE EXCEPTION '%: the external references of a partition that is new were not kept', {entity}\n"
        "      USING ERRCODE = 'object_not_in_prerequisite_state',\n"
        "            HINT = 'Run dotpeen migrate down, or export the script again.';\n"
        "  END IF;\nEND\n$dotpeen$"
    ).format(
        table=literal(names.table.as_string()),
        known=sql.SQL(", ").join(known),
        entity=literal(names.target.entity.name),
    )


def _add_columns(target: Target, columns: Sequence[Reference]) -> Step:
    names = EntitySql(target)
    missing = [one for one in columns if one.column not in target.table.columns]
    statements: list[sql.Composable] = [_drop_capture(names)] if _captured(target) else []
    statements += [
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            names.table, sql.Identifier(one.column), sql.SQL(one.type)
        )
        for one in missing
    ]
    undo = [
        sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(names.table, sql.Identifier(one.column))
        for one in reversed(missing)
    ]
    what = "columns" if missing or not columns else "columns, there already"
    return _step(
        target,
        columns,
        what,
        render(*statements),
        undo=render(*undo),
        lock=Lock.ACCESS_EXCLUSIVE,
        done=not statements,
    )


def _follow(target: Target, beside: Sequence[Reference]) -> Step:
    names = EntitySql(target)
    there = target.sidecar is not None and any(t.name == FOLLOW_TRIGGER for t in target.sidecar.triggers)
    drop = sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(FOLLOW_TRIGGER), names.sidecar)
    return _step(
        target,
        beside,
        "values follow their records",
        render(*follow_trigger(names)),
        undo=render(drop),
        lock=Lock.SHARE_ROW_EXCLUSIVE,
        table=TableName(SCHEMA, names.sidecar_name),
        done=there,
    )


def _captured(target: Target) -> bool:
    return any(trigger.name == KEEP_TRIGGER for trigger in target.table.triggers)


def _drop_capture(names: EntitySql) -> sql.Composed:
    return sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(KEEP_TRIGGER), names.table)


def _step(
    target: Target,
    references: Sequence[Reference],
    what: str,
    statements: tuple[str, ...] = (),
    *,
    undo: tuple[str, ...] = (),
    lock: Lock = Lock.NONE,
    mode: Mode = "transaction",
    table: TableName | None = None,
    done: bool = False,
) -> Step:
    labels = tuple(one.name for one in references)
    return Step(
        target.entity.name,
        Stage.EXPAND,
        f"{' and '.join(labels)}: {what}" if labels else what,
        table or target.table.name,
        statements,
        undo,
        lock,
        mode,
        long=mode == "rows",
        done=done,
        references=labels,
    )
