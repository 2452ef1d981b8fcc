"""External references in exported scripts: remembered, given back, and kept before their columns go."""

from __future__ import annotations

from psycopg import sql

from dotpeen.migration import references
from dotpeen.migration.emit import guards
from dotpeen.migration.emit.script import (
    Block,
    bounded,
    bounds,
    call,
    composed,
    journal_statement,
    key_after,
    largest,
    lock_statement,
)
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Lock, Reference, Stage, Target
from dotpeen.migration.sql import KEEP_TRIGGER, EntitySql, literal, render
from dotpeen.migration.stages import references as steps
from dotpeen.registry import TableName


def registered(target: Target) -> list[Block]:
    """Remember what the table has of each reference before its first step."""
    statements = tuple(_register(target, one) for one in target.declared)
    if not statements:
        return []
    notes = ("So that an undo knows what to leave. Undo: DELETE FROM dotpeen.external_reference",)
    return [Block(f"{target.entity.name}: remember its external references", statements, notes)]


def given_back(target: Target) -> list[Block]:
    """Give every record back what an undo has kept of it."""
    fill = Fill(target)
    blocks = []
    for one in target.declared:
        if one.storage == "sidecar":
            continue
        calls = []
        for unit in target.table.leaves:
            within = fill.keys.within(*bounds(fill))
            retire, write = references.give_back_range(fill.names, one, unit, within)
            calls.append(_in_ranges(fill, unit, retire, write))
        done = references.given_back(fill.names, one).as_string()
        pending = composed(
            "SELECT EXISTS (SELECT FROM dotpeen.external_kept WHERE entity = {} AND name = {} AND current)",
            literal(target.entity.name),
            literal(one.name),
        )
        notes = (f"Lock: {Lock.ROW_EXCLUSIVE}; blocks {Lock.ROW_EXCLUSIVE.blocks}",)
        title = f"{target.entity.name}, expand: give back kept values of {one.name}"
        blocks.append(Block(title, ("SET lock_timeout = '500ms'", *calls, done), notes, pending))
    return blocks


def undone(target: Target) -> list[Block]:
    """Keep the values of each column that Dotpeen made, then drop it; what was there before stays."""
    if target.entity.uuid.storage == "sidecar":
        return []
    return [
        block
        for one in target.references
        if one.storage == "column"
        for block in (*_dropped(target, one), *_index_dropped(target, one))
    ]


def forgotten(target: Target) -> tuple[str, ...]:
    """Statements that forget them; the values stay."""
    if not target.references:
        return ()
    name = literal(target.entity.name)
    return (
        steps.drop_function(EntitySql(target)).as_string(),
        composed("DELETE FROM dotpeen.external_reference WHERE entity = {}", name),
    )


def _dropped(target: Target, one: Reference) -> list[Block]:
    names, table = EntitySql(target), target.table.name
    fill = Fill(target)
    created = _known(target, one, "coalesce(before ->> 'column', 'false') = 'false'")
    made = f"{created} AND {guards.column_present(table, one.column)}"
    calls = []
    for unit in target.table.leaves:
        retire, copy = references.keep_range(names, [one], unit, fill.keys.within(*bounds(fill)))
        calls.append(_in_ranges(fill, unit, retire, copy))
    drops = [
        composed("DROP TRIGGER IF EXISTS {} ON {}", sql.Identifier(KEEP_TRIGGER), names.table),
        composed("ALTER TABLE {} DROP COLUMN IF EXISTS {}", names.table, sql.Identifier(one.column)),
    ]
    if target.table.kind == "partitioned":
        drops.insert(0, steps.require_leaves(names).as_string())
    function = render(steps.capture_function(names, [one]), names.closed("keep"))
    kept = ("SET lock_timeout = '500ms'", *calls, references.retire_gone(names, [one]).as_string())
    label = f"{target.entity.name}, {one.name}"
    return [
        Block(
            f"{label}: function that keeps what changes",
            function,
            ("Lock: none",),
            f"SELECT {made}",
            transaction=True,
        ),
        _locked(
            target,
            one,
            "what changes from now on is kept at once",
            render(*steps.capture_trigger(names)),
            f"{made} AND NOT {guards.trigger_present(table, KEEP_TRIGGER)}",
            Lock.SHARE_ROW_EXCLUSIVE,
        ),
        Block(
            f"{label}: keep every value in dotpeen.external_kept",
            kept,
            ("Lock: rows of the current batch. Migrated again, each record gets the same value back",),
            f"SELECT {made}",
        ),
        _locked(target, one, "drop the column", tuple(drops), made),
    ]


def _index_dropped(target: Target, one: Reference) -> list[Block]:
    """Of a column that stays."""
    names, table = EntitySql(target), target.table
    ours = _known(target, one, "before ->> 'column' = 'true' AND before ->> 'unique' = 'false'")
    if table.kind == "partitioned":
        parts = [table.name, *table.leaves]
        indexes = [sql.Identifier(t.schema, names.index_name_for(t.name, one.column)) for t in parts]
        drops = tuple(composed("DROP INDEX IF EXISTS {}", index) for index in indexes)
        return [_locked(target, one, "drop the index", drops, ours)]
    index = sql.Identifier(table.name.schema, names.index_name_for(table.name.name, one.column))
    drop = ("SET lock_timeout = 0", composed("DROP INDEX CONCURRENTLY IF EXISTS {}", index))
    notes = (f"Lock: {Lock.SHARE_UPDATE_EXCLUSIVE} on {table.name}",)
    return [Block(f"{target.entity.name}, {one.name}: drop the index", drop, notes, f"SELECT {ours}")]


def _register(target: Target, one: Reference) -> str:
    return composed(
        "INSERT INTO dotpeen.external_reference (entity, name, plugin, column_name, type, storage, before)\n"
        "SELECT {entity}, {name}, {plugin}, {column}, {type}, {storage}, pg_catalog.jsonb_build_object("
        "'column', a.attnum IS NOT NULL, 'unique', EXISTS (SELECT FROM pg_catalog.pg_index AS i"
        " WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL"
        " AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum))\n"
        "  FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid"
        " AND a.attname = {column} AND NOT a.attisdropped\n"
        " WHERE c.oid = {oid}::pg_catalog.regclass ON CONFLICT (entity, name) DO NOTHING",
        entity=literal(target.entity.name),
        name=literal(one.name),
        plugin=literal(one.plugin),
        column=literal(one.column),
        type=literal(one.type),
        storage=literal(one.storage),
        oid=guards.regclass(target.table.name),
    )


def _in_ranges(fill: Fill, unit: TableName, first: sql.Composed, second: sql.Composed) -> str:
    statements = {
        "largest": largest(fill, unit),
        "key_after": key_after(fill, unit),
        "retire": bounded(fill, first),
        "copy": bounded(fill, second),
    }
    return call("dotpeen_keep", (), statements)


def _known(target: Target, one: Reference, condition: str) -> str:
    place = composed("entity = {} AND name = {}", literal(target.entity.name), literal(one.name))
    return f"EXISTS (SELECT FROM dotpeen.external_reference WHERE {place} AND {condition})"


def _locked(
    target: Target,
    one: Reference,
    title: str,
    statements: tuple[str, ...],
    condition: str,
    lock: Lock = Lock.ACCESS_EXCLUSIVE,
) -> Block:
    record = journal_statement(target.entity.name, Stage.EXPAND, f"{one.name}: {title}", lock)
    return Block(
        f"{target.entity.name}, {one.name}: {title}",
        (lock_statement(target.table.name, lock), *statements, record),
        (f"Lock: {lock} on {target.table.name}; blocks {lock.blocks}",),
        f"SELECT {condition}",
        transaction=True,
    )
