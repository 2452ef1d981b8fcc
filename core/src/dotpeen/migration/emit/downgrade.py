"""The way back as a script: first every issued UUID is kept in `dotpeen.issued`, then the objects go."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from dotpeen.migration import ledger
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
    restore_block,
    schema_block,
    session_blocks,
)
from dotpeen.migration.fill import Fill
from dotpeen.migration.ledger import retire_gone, retire_unmatched
from dotpeen.migration.model import Lock, Stage, Target
from dotpeen.migration.sql import (
    CAPTURE_TRIGGER,
    CARRY_TRIGGER,
    EMPTIED_TRIGGER,
    FILL_TRIGGER,
    SIDECAR_TRIGGERS,
    EntitySql,
    literal,
    render,
    table_identifier,
)
from dotpeen.migration.stages.expand import drop_function
from dotpeen.registry import MigrationSettings, TableName


def downgrade_sections(targets: Mapping[str, Target], settings: MigrationSettings) -> tuple[Section, ...]:
    """Undo every entity, the last one first. Schema `dotpeen` stays: the issued UUIDs are in it."""
    installed = (
        "DO $dotpeen$\nBEGIN\n  IF pg_catalog.to_regclass('dotpeen.entity') IS NULL THEN\n"
        "    RAISE EXCEPTION 'nothing was migrated in this database';\n  END IF;\nEND\n$dotpeen$"
    )
    start = Block("There is something to undo", (installed,))
    # A database that was migrated before there were external references has no tables for them.
    schema = [schema_block()] if any(one.references for one in targets.values()) else []
    prepared = (*session_blocks(settings), start, *schema, *procedure_blocks("lock", "keep"))
    sections = [Section("Preparation", prepared)]
    for name, target in reversed(list(targets.items())):
        own = _sidecar(target) if target.entity.uuid.storage == "sidecar" else _column(target)
        blocks = [*references.undone(target), *own]
        sections.append(
            Section(
                f"{name}: table {target.table.name}",
                (alone_block(name, begin=True), *blocks, _forgotten(target), alone_block(name, begin=False)),
            )
        )
    return (*sections, Section("End", (restore_block(),)))


def _column(target: Target) -> list[Block]:
    names, table, entity = EntitySql(target), target.table.name, target.entity
    column = guards.column_present(table, entity.uuid.column)
    made = f"{_registered(target, 'column')} AND {column}"
    emptied = [guards.trigger_present(leaf, EMPTIED_TRIGGER) for leaf in target.table.leaves]
    blocks = [
        Block(
            f"{entity.name}: functions that keep what changes",
            render(*ledger.functions(names)),
            ("Lock: none",),
            f"SELECT {made}",
            transaction=True,
        ),
        _locked(
            target,
            "what changes from now on is kept at once",
            render(*ledger.capture_trigger(names)),
            f"{made} AND NOT {guards.trigger_present(table, CAPTURE_TRIGGER)}",
            Lock.SHARE_ROW_EXCLUSIVE,
        ),
        _locked(
            target,
            "what is truncated from now on is kept at once",
            render(*(part for leaf in target.table.leaves for part in ledger.emptied_trigger(names, leaf))),
            f"{made} AND NOT ({' AND '.join(emptied) or 'true'})",
            Lock.SHARE_ROW_EXCLUSIVE,
        ),
        Block(
            f"{entity.name}: keep every UUID in dotpeen.issued",
            ("SET lock_timeout = '500ms'", retire_gone(target).as_string(), *_copies(target)),
            ("Lock: rows of the current batch. Migrated again, each record gets the same UUID back",),
            f"SELECT {made}",
        ),
        _locked(
            target,
            "drop NOT NULL",
            (composed("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", names.table, names.column),),
            f"{_registered(target, 'not_null')} AND {column}",
        ),
        _locked(
            target, "drop checks", tuple(_drop_constraint(names, name) for name in _checks(target)), None
        ),
    ]
    blocks += _index(target)
    triggers = tuple(
        composed("DROP TRIGGER IF EXISTS {} ON {}", sql.Identifier(name), names.table)
        for name in (FILL_TRIGGER, *names.guards, CARRY_TRIGGER, CAPTURE_TRIGGER)
    )
    triggers += tuple(
        composed("DROP TRIGGER IF EXISTS {} ON {}", sql.Identifier(EMPTIED_TRIGGER), table_identifier(leaf))
        for leaf in target.table.leaves
    )
    drop = composed("ALTER TABLE {} DROP COLUMN IF EXISTS {}", names.table, names.column)
    gone = (*triggers, drop)
    if target.table.kind == "partitioned":
        gone = (ledger.require_all_captured(names).as_string(), *gone)
    blocks.append(_locked(target, "drop triggers and column", gone, _registered(target, "column")))
    kept = f"NOT ({_registered(target, 'column')})"
    blocks.append(_locked(target, "drop triggers, keep the column, which was there before", triggers, kept))
    if names.default is not None:
        undefault = composed("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", names.table, names.column)
        ours = f"{kept} AND {column} AND {_registered(target, 'default')}"
        blocks.append(_locked(target, "drop the default", (undefault,), ours))
    return blocks


def _sidecar(target: Target) -> list[Block]:
    names, entity = EntitySql(target), target.entity
    partition = guards.regclass(TableName("dotpeen", names.sidecar_name)).as_string()
    triggers = tuple(
        composed("DROP TRIGGER IF EXISTS {} ON {}", sql.Identifier(name), names.table)
        for name in SIDECAR_TRIGGERS
    )
    retire = retire_unmatched(target).as_string()
    copy = composed(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT entity, key, uuid, true FROM {}"
        " ON CONFLICT (entity, uuid) DO UPDATE SET key = excluded.key, current = true"
        " WHERE NOT issued.current OR issued.key <> excluded.key",
        names.sidecar,
    )
    keep = Block(
        f"{entity.name}: keep every UUID in dotpeen.issued, then drop the sidecar partition",
        (
            retire,
            copy,
            composed("DROP TABLE {}", names.sidecar),
            _journal(target, "drop sidecar partition", Lock.NONE),
        ),
        ("In one transaction. Migrated again, each record gets the same UUID back",),
        f"SELECT pg_catalog.to_regclass({partition}) IS NOT NULL",
        transaction=True,
    )
    return [_locked(target, "drop triggers", triggers, None), keep]


def _copies(target: Target) -> list[str]:
    """One CALL for each table that holds rows."""
    fill = Fill(target)
    names = fill.names
    calls = []
    for unit in target.table.leaves:
        parts = {
            "entity": literal(target.entity.name),
            "key": names.key("t"),
            "column": names.column,
            "unit": table_identifier(unit),
            "within": fill.keys.within(*bounds(fill)),
        }
        retire = sql.SQL(
            "UPDATE dotpeen.issued AS l SET current = false FROM {unit} AS t WHERE {within} AND l.entity = {entity}"
            " AND l.current AND l.key = {key} AND l.uuid <> t.{column}::uuid"
        ).format(**parts)
        # FOR KEY SHARE: the key that is written is the key the row has until the commit.
        copy = sql.SQL(
            "INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT {entity}, s.key, s.uuid, true FROM"
            " (SELECT {key} AS key, t.{column}::uuid AS uuid FROM {unit} AS t WHERE {within}"
            " AND t.{column} IS NOT NULL FOR KEY SHARE OF t) AS s ON CONFLICT (entity, uuid) DO UPDATE"
            " SET key = excluded.key, current = true WHERE NOT issued.current OR issued.key <> excluded.key"
        ).format(**parts)
        calls.append(
            call(
                "dotpeen_keep",
                (),
                {
                    "largest": largest(fill, unit),
                    "key_after": key_after(fill, unit),
                    "retire": bounded(fill, retire),
                    "copy": bounded(fill, copy),
                },
            )
        )
    return calls


def _checks(target: Target) -> list[str]:
    names = EntitySql(target)
    # From PostgreSQL 18 on, NOT NULL is a constraint itself and went with the block before.
    checks = [] if target.server_version >= 180000 else [names.not_null_name]
    return [*checks, names.format_name]


def _index(target: Target) -> list[Block]:
    names, table = EntitySql(target), target.table
    ours = _registered(target, "unique")
    blocks = [
        _locked(target, "drop the unique constraint", (_drop_constraint(names, names.index_name),), ours)
    ]
    index = sql.Identifier(table.name.schema, names.index_name)
    if table.kind == "partitioned":
        leaves = [sql.Identifier(leaf.schema, names.index_name_for(leaf.name)) for leaf in table.leaves]
        # The parent's index takes its parts along; what a build left unattached goes by itself.
        drops = tuple(composed("DROP INDEX IF EXISTS {}", one) for one in (index, *leaves))
        blocks.append(_locked(target, "drop the index", drops, ours))
        return blocks
    drop = ("SET lock_timeout = 0", composed("DROP INDEX CONCURRENTLY IF EXISTS {}", index))
    notes = (f"Lock: {Lock.SHARE_UPDATE_EXCLUSIVE} on {table.name}",)
    blocks.append(
        Block(f"{target.entity.name}: drop an index without its constraint", drop, notes, f"SELECT {ours}")
    )
    return blocks


def _forgotten(target: Target) -> Block:
    names, name = EntitySql(target), literal(target.entity.name)
    purposes = ("fill", "carry", *ledger.FUNCTIONS, "issue", "rekey", "retire", "truncate")
    functions = render(*(drop_function(names, purpose) for purpose in purposes))
    rows = tuple(
        composed("DELETE FROM dotpeen.{} WHERE {} = {}", sql.Identifier(table), sql.Identifier(column), name)
        for table, column in (("backfill", "entity"), ("worker", "entity"), ("entity", "name"))
    )
    return Block(
        f"{target.entity.name}: drop trigger functions, forget the migration",
        (*functions, *references.forgotten(target), *rows, _journal(target, "rolled back", Lock.NONE)),
        (),
        f"SELECT {_known(target)}",
        transaction=True,
    )


def _locked(
    target: Target,
    title: str,
    statements: tuple[str, ...],
    condition: str | None,
    lock: Lock = Lock.ACCESS_EXCLUSIVE,
) -> Block:
    conditions = " AND ".join(part for part in (_known(target), condition) if part)
    return Block(
        f"{target.entity.name}: {title}",
        (lock_statement(target.table.name, lock), *statements, _journal(target, title, lock)),
        (f"Lock: {lock} on {target.table.name}; blocks {lock.blocks}",),
        f"SELECT {conditions}",
        transaction=True,
    )


def _known(target: Target) -> str:
    return f"EXISTS (SELECT FROM dotpeen.entity WHERE name = {literal(target.entity.name).as_string()})"


def _registered(target: Target, before: str) -> str:
    """A condition: the entity was migrated, and its table had no such thing before."""
    name = literal(target.entity.name).as_string()
    absent = f"coalesce(before ->> '{before}', 'false') = 'false'"
    return f"EXISTS (SELECT FROM dotpeen.entity WHERE name = {name} AND {absent})"


def _drop_constraint(names: EntitySql, name: str) -> str:
    return composed("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", names.table, sql.Identifier(name))


def _journal(target: Target, action: str, lock: Lock) -> str:
    return journal_statement(target.entity.name, Stage.EXPAND, action, lock)
