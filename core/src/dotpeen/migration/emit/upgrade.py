"""The plan as a script: every step once more asks the catalog whether it is still to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg import sql

from dotpeen.migration.emit import guards, references
from dotpeen.migration.emit.script import (
    Block,
    Section,
    alone_block,
    bounded,
    bounds,
    call,
    composed,
    journal_statement,
    key_after,
    largest,
    lock_statement,
    procedure_blocks,
    raw,
    restore_block,
    schema_block,
    session_blocks,
    unit_literal,
)
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Lock, Plan, Stage, Step, Target
from dotpeen.migration.ranges import Range
from dotpeen.migration.sql import EntitySql, literal
from dotpeen.migration.stages.index import unique_columns
from dotpeen.registry import MigrationSettings, TableName


def upgrade_sections(
    plan: Plan, targets: Mapping[str, Target], settings: MigrationSettings, *, to: Stage
) -> tuple[Section, ...]:
    """Everything from the session's settings to the verification, in the order in which it runs."""
    procedures = ["lock", "fill", *(["keep"] if any(one.declared for one in targets.values()) else [])]
    sections = [
        Section("Preparation", (*session_blocks(settings), _server_check(plan))),
        Section("What the migration stands on", (schema_block(), *procedure_blocks(*procedures))),
    ]
    for name, target in targets.items():
        steps = [step for step in plan.steps if step.entity == name]
        sections.append(Section(f"{name}: table {target.table.name}", tuple(_entity(target, steps, to))))
    if to is Stage.VERIFY:
        checks = tuple(_verified(target) for target in targets.values())
        sections.append(Section("Verification", checks))
    sections.append(Section("End", (restore_block(),)))
    return tuple(sections)


def verification_query(target: Target) -> str:
    """A query of one row that says whether every record has its own UUID, and the database keeps it so."""
    entity, names, table = target.entity, EntitySql(target), target.table.name
    sidecar = entity.uuid.storage == "sidecar"
    uuid: sql.Composable = sql.Identifier("uuid") if sidecar else names.column
    source = names.sidecar if sidecar else names.table
    guarded_table = TableName("dotpeen", names.sidecar_name) if sidecar else table
    index = f"{names.sidecar_name}_uuid_key" if sidecar else names.index_name
    enforced = [guards.trigger_present(guarded_table, guard) for guard in names.guards]
    if not sidecar:
        enforced.append(guards.not_null(target))
    adopted = not sidecar and any(i.covers_exactly([entity.uuid.column]) for i in target.table.indexes)
    if not adopted:
        enforced.append(guards.index_valid(guarded_table, index))
    return composed(
        "SELECT {entity} AS entity, (SELECT count(*) FROM {table}) AS rows,"
        " (SELECT count(*) FROM {table}) - (SELECT count({uuid}) FROM {source}) AS without_uuid,"
        " (SELECT count({uuid}) - count(DISTINCT {uuid}) FROM {source}) AS duplicates, {enforced} AS enforced",
        entity=literal(entity.name),
        table=names.table,
        uuid=uuid,
        source=source,
        enforced=raw(" AND ".join(enforced)),
    )


def _server_check(plan: Plan) -> Block:
    native = plan.server_version >= 180000
    wanted = "18 or newer" if native else "older than 18"
    statement = (
        "DO $dotpeen$\nBEGIN\n"
        f"  IF pg_catalog.current_setting('server_version_num')::int {'<' if native else '>='} 180000 THEN\n"
        f"    RAISE EXCEPTION 'this script is for PostgreSQL {wanted}'\n"
        "      USING HINT = 'Export it again from a database of this server''s version.';\n"
        "  END IF;\nEND\n$dotpeen$"
    )
    return Block("The server this was made for", (statement,))


def _entity(target: Target, steps: Sequence[Step], to: Stage) -> list[Block]:
    name = target.entity.name
    blocks = [alone_block(name, begin=True), _table_check(target), _registered(target)]
    blocks += references.registered(target)
    for stage in (Stage.EXPAND, Stage.BACKFILL, Stage.INDEX, Stage.ENFORCE):
        if stage.position > to.position:
            break
        if stage is Stage.BACKFILL:
            blocks += _backfill(target)
        else:
            # What is given back depends on what was kept by then, not on what there is now.
            blocks += [
                _step(step, target)
                for step in steps
                if step.stage is stage and step.sql and not step.done and step.mode != "rows"
            ]
        if stage is Stage.EXPAND:
            blocks += references.given_back(target)
        blocks.append(_stage_reached(name, stage))
    return [*blocks, alone_block(name, begin=False)]


def _step(step: Step, target: Target) -> Block:
    title = f"{step.entity}, {step.stage}: {step.name}"
    notes = [
        f"Lock: {step.lock} on {step.table}"
        + (f"; blocks {step.lock.blocks}" if step.lock is not Lock.NONE else "")
    ]
    if step.seconds:
        notes.append(f"Estimated: {step.seconds:.0f} s")
    notes += [f"Undo: {statement}" for statement in step.undo]
    record = journal_statement(step.entity, step.stage, step.name, step.lock)
    pending = guards.pending(step, target)
    if step.mode == "autocommit":
        # An invalid index that a build left behind goes first; its statement is the undo.
        drop = step.undo if step.stage is Stage.INDEX else ()
        return Block(title, ("SET lock_timeout = 0", *drop, step.sql[-1], record), tuple(notes), pending)
    lock: tuple[str, ...] = ()
    if step.lock is not Lock.NONE:
        lock = (lock_statement(step.table, step.lock, only=step.stage is Stage.INDEX),)
    return Block(title, (*lock, *step.sql, record), tuple(notes), pending, transaction=True)


def _backfill(target: Target) -> list[Block]:
    # Whatever was issued once comes back, also what an undo of this very script will have kept.
    fill = Fill(replace(target, restore=True))
    blocks = []
    for position, unit in enumerate(target.table.leaves):
        piece = Range(0, unit, *bounds(fill))
        statement = call(
            "dotpeen_fill",
            (literal(target.entity.name).as_string(), unit_literal(unit), str(position), str(fill.stripes)),
            {
                "count_rows": fill.count(unit).as_string(),
                "largest": largest(fill, unit),
                "key_after": key_after(fill, unit),
                "fill": bounded(fill, fill.batch(piece, fill.stripes - 1)),
                "fill_unlocked": bounded(fill, fill.batch(piece, fill.stripes - 1, skip_locked=True)),
                "missing": fill.missing(unit, limit=1).as_string(),
            },
        )
        blocks.append(
            Block(
                f"{target.entity.name}, backfill: rows of {unit}, in batches",
                ("SET lock_timeout = '500ms'", statement),
                (
                    f"Lock: {Lock.ROW_EXCLUSIVE}; blocks {Lock.ROW_EXCLUSIVE.blocks}",
                    "Progress: SELECT * FROM dotpeen.progress. Killed and run again, it goes on where it was",
                    "Undo: none needed, the column goes",
                ),
            )
        )
    counted = composed(
        "UPDATE dotpeen.entity SET rows_before = (SELECT sum(b.rows_total) FROM dotpeen.backfill AS b"
        " WHERE b.entity = entity.name) WHERE name = {} AND rows_before IS NULL",
        literal(target.entity.name),
    )
    return [*blocks, Block(f"{target.entity.name}: rows counted", (counted,))]


def _stage_reached(entity: str, stage: Stage) -> Block:
    statement = composed(
        "UPDATE dotpeen.entity SET stage = {stage} WHERE name = {name}"
        " AND coalesce(pg_catalog.array_position(ARRAY[{stages}], stage), 0) < {number}",
        stage=literal(stage.value),
        name=literal(entity),
        stages=sql.SQL(", ").join(literal(one.value) for one in Stage),
        number=sql.Literal(stage.position + 1),
    )
    return Block(f"{entity}: stage {stage} is complete", (statement,))


def _table_check(target: Target) -> Block:
    table, entity = target.table, target.entity
    here = guards.regclass(table.name)
    known = composed(
        "EXISTS (SELECT FROM dotpeen.entity WHERE name = {} AND (table_schema, table_name, storage) <> ({}, {}, {}))",
        *map(literal, (entity.name, table.name.schema, table.name.name, entity.uuid.storage)),
    )
    conditions = [
        (composed("pg_catalog.to_regclass({}) IS NULL", here), "its table is not in this database"),
        (known, "it was migrated here with another table or storage"),
    ]
    if table.kind == "partitioned":
        others = composed(
            "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_partition_tree({}::pg_catalog.regclass) WHERE isleaf) <> {}"
            " OR EXISTS (SELECT FROM pg_catalog.unnest(ARRAY[{}]::text[]) AS leaf"
            " WHERE pg_catalog.to_regclass(leaf) IS NULL)",
            here,
            sql.Literal(len(table.leaves)),
            sql.SQL(", ").join(guards.regclass(leaf) for leaf in sorted(table.leaves)),
        )
        conditions.append(
            (others, "its partitions are others than when this script was made: export it again")
        )
    tests = "".join(
        f"  IF {condition} THEN\n    RAISE EXCEPTION '{entity.name}: {message}';\n  END IF;\n"
        for condition, message in conditions
    )
    return Block(f"{entity.name}: the table is as planned", (f"DO $dotpeen$\nBEGIN\n{tests}END\n$dotpeen$",))


def _registered(target: Target) -> Block:
    entity, table = target.entity, target.table.name
    parts = sql.SQL(", ").join(
        sql.SQL("{}::pg_catalog.regclass").format(guards.regclass(name))
        for name in (tuple(target.parts) or (table,))
    )
    before = (
        "pg_catalog.jsonb_build_object('column', true)"
        if entity.uuid.storage == "sidecar"
        else "pg_catalog.jsonb_build_object('column', a.attnum IS NOT NULL,"
        " 'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'not_null', coalesce(a.attnotnull, false),"
        " 'unique', EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique"
        " AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum))"
    )
    statement = sql.SQL(
        "INSERT INTO dotpeen.entity (name, table_schema, table_name, column_name, storage, before, inserted_before,"
        " deleted_before)\nSELECT {name}, {schema}, {table}, {column}, {storage}, {before},\n"
        "  (SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(p)), 0)::bigint"
        " FROM unnest(ARRAY[{parts}]) AS p),\n"
        "  (SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_deleted(p)), 0)::bigint"
        " FROM unnest(ARRAY[{parts}]) AS p)\n"
        "  FROM pg_catalog.pg_class AS c\n"
        "  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = {column}"
        " AND NOT a.attisdropped\n"
        "  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum\n"
        " WHERE c.oid = {oid}::pg_catalog.regclass ON CONFLICT (name) DO NOTHING"
    ).format(
        name=literal(entity.name),
        schema=literal(table.schema),
        table=literal(table.name),
        column=literal(entity.uuid.column),
        storage=literal(entity.uuid.storage),
        before=raw(before),
        parts=parts,
        oid=guards.regclass(table),
    )
    return Block(
        f"{entity.name}: remember the table as it was",
        (statement.as_string(),),
        ("So that an undo knows what to leave. Undo: DELETE FROM dotpeen.entity",),
    )


def _verified(target: Target) -> Block:
    name = target.entity.name
    statement = composed(
        "DO $dotpeen$\nDECLARE\n  found record;\nBEGIN\n  SELECT s.* INTO found FROM (\n{query}) AS s;\n"
        "  IF found.without_uuid <> 0 OR found.duplicates <> 0 OR NOT found.enforced THEN\n"
        "    RAISE EXCEPTION {message}, pg_catalog.to_jsonb(found);\n  END IF;\nEND\n$dotpeen$",
        query=raw(verification_query(target)),
        message=literal(f"{name} is not right: %"),
    )
    notes = ["Lock: none. The complete checks: dotpeen migrate verify"]
    if target.table.kind == "partitioned" and not unique_columns(target)[1]:
        notes.append("No unique index can hold on this partitioned table: duplicates are counted only")
    return Block(f"{name}: every record has its own UUID", (statement,), tuple(notes))
