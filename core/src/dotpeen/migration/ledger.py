"""The ledger `dotpeen.issued`: before a column or sidecar goes, every UUID in it is written here, and none is missed.

Triggers capture what changes meanwhile; batches copy what is there. Migrating again gives every record its UUID back.
"""

from __future__ import annotations

import time
from typing import Final

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen.errors import IssuedUuidError
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration import ranges
from dotpeen.migration.events import Notify, Progressed
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.ranges import Key
from dotpeen.migration.sql import (
    CAPTURE_TRIGGER,
    DEFINER,
    EMPTIED_TRIGGER,
    EntitySql,
    literal,
    render,
    table_identifier,
)
from dotpeen.registry import TableName

BATCH_ROWS = 5000
FUNCTIONS: Final = ("capture", "emptied")
"""Purposes of the trigger functions that are there while UUIDs are copied."""
_ROW_LOCK_TIMEOUT = "300ms"

_COLLISIONS = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,  # a row that we waited for went to another partition
)


def capture(target: Target) -> list[Step]:
    """Steps after which the UUID of every new, changed, deleted or truncated row goes to the ledger at once."""
    names = EntitySql(target)
    tables = {target.table.name: target.table, **target.parts}
    there = {(name, trigger.name) for name, table in tables.items() for trigger in table.triggers}
    missing: list[sql.Composed] = []
    if (target.table.name, CAPTURE_TRIGGER) not in there:
        missing += capture_trigger(names)
    for leaf in target.table.leaves:
        if (leaf, EMPTIED_TRIGGER) not in there:
            missing += emptied_trigger(names, leaf)
    return [
        Step(
            target.entity.name,
            Stage.EXPAND,
            "capture functions",
            target.table.name,
            render(*functions(names)),
            done=names.has_function("capture", _captured(names))
            and names.has_function("emptied", _emptied(names)),
        ),
        Step(
            target.entity.name,
            Stage.EXPAND,
            "capture triggers",
            target.table.name,
            render(*missing),
            lock=Lock.SHARE_ROW_EXCLUSIVE,
            done=not missing,
        ),
    ]


def functions(names: EntitySql) -> list[sql.Composed]:
    """The trigger functions that keep what changes, callable by nobody else's triggers."""
    return [_captured(names), _emptied(names), *(names.closed(purpose) for purpose in FUNCTIONS)]


def capture_trigger(names: EntitySql) -> list[sql.Composed]:
    """Keep the UUID of each row that is written or deleted, on every partition."""
    trigger = sql.SQL(
        "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
    ).format(sql.Identifier(CAPTURE_TRIGGER), names.table, names.function("capture"))
    return [trigger, _always(names.table, CAPTURE_TRIGGER)]


def emptied_trigger(names: EntitySql, leaf: TableName) -> list[sql.Composed]:
    """Keep the UUIDs of a table that is truncated, while they can still be read.

    On each table that holds rows: TRUNCATE of a partitioned table fires these too, TRUNCATE of a partition only these.
    """
    table = table_identifier(leaf)
    trigger = sql.SQL(
        "CREATE OR REPLACE TRIGGER {} BEFORE TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}()"
    ).format(sql.Identifier(EMPTIED_TRIGGER), table, names.function("emptied"))
    return [trigger, _always(table, EMPTIED_TRIGGER)]


def require_all_captured(names: EntitySql) -> sql.Composed:
    """Refuse to go on, under the lock, when a partition came whose UUIDs nobody has copied."""
    return sql.SQL(
        "DO $dotpeen$\nDECLARE\n  missed text;\nBEGIN\n"
        "  SELECT pg_catalog.string_agg(p.relid::text, ', ') INTO missed\n"
        "    FROM pg_catalog.pg_partition_tree({table}::pg_catalog.regclass) AS p\n"
        "   WHERE p.isleaf AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t\n"
        "                                   WHERE t.tgrelid = p.relid AND t.tgname = {trigger})\n"
        "     AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a\n"
        "                  WHERE a.attrelid = p.relid AND a.attname = {column} AND NOT a.attisdropped);\n"
        "  IF missed IS NOT NULL THEN\n"
        "    RAISE EXCEPTION '%: the UUIDs of a partition that is new were not kept: %', {entity}, missed\n"
        "      USING ERRCODE = 'object_not_in_prerequisite_state',\n"
        "            HINT = 'Run dotpeen migrate down, or export the script again.';\n"
        "  END IF;\nEND\n$dotpeen$"
    ).format(
        table=literal(names.table.as_string()),
        trigger=literal(EMPTIED_TRIGGER),
        column=literal(names.target.entity.uuid.column),
        entity=literal(names.target.entity.name),
    )


def copy_column(connection: Connection, target: Target, notify: Notify) -> int:
    """Copy the UUIDs of every row, batch by batch; returns how many rows were read."""
    fill = Fill(target)
    total = 0
    for unit in target.table.leaves:
        lower: Key | None = None
        bound = ranges.largest_key(connection, unit, fill.keys)
        while bound is not None and lower != bound:
            upper = ranges.key_after(connection, unit, fill.keys, lower, bound, BATCH_ROWS) or bound
            total += _copy_range(connection, fill, unit, lower, upper)
            notify(Progressed(target.entity.name, todo=max(target.table.estimated_rows, total), done=total))
            lower = upper
    in_short_transactions(connection, retire_gone(target))
    return total


def copy_sidecar(connection: Connection, target: Target) -> int:
    """Copy what is in the sidecar and not yet current in the ledger."""
    names = EntitySql(target)
    entity = literal(target.entity.name)
    in_short_transactions(connection, retire_unmatched(target))
    total = 0
    after = ""
    while True:
        row = connection.execute(
            sql.SQL(
                "SELECT max(key) FROM (SELECT key FROM {} WHERE entity = {} AND key > %s ORDER BY key LIMIT {}) AS s"
            ).format(names.sidecar, entity, sql.Literal(BATCH_ROWS)),
            [after],
        ).fetchone()
        if row is None or row[0] is None:
            break
        # FOR KEY SHARE: a record that is deleted meanwhile waits for this batch, and is then retired after it.
        total += in_short_transactions(
            connection,
            sql.SQL(
                "INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT entity, key, uuid, true FROM"
                " (SELECT entity, key, uuid FROM {} WHERE entity = {} AND key > {} AND key <= {} FOR KEY SHARE) AS s"
                " ON CONFLICT (entity, uuid) DO UPDATE SET key = excluded.key, current = true"
                " WHERE NOT issued.current OR issued.key <> excluded.key"
            ).format(names.sidecar, entity, literal(after), literal(row[0])),
        )
        after = row[0]
    return total


def retire_orphans(connection: Connection, target: Target) -> int:
    """Retire identities in the sidecar whose record is gone; returns how many.

    They are left by what happened while the triggers were away (a rollback that was killed between dropping them and
    dropping the sidecar) and by partitions that were dropped or truncated, which fires no trigger.
    """
    names = EntitySql(target)
    return in_short_transactions(
        connection,
        sql.SQL(
            "WITH gone AS (DELETE FROM {sidecar} AS i WHERE i.entity = {entity} AND NOT EXISTS"
            " (SELECT FROM {table} AS t WHERE {key} = i.key) RETURNING i.entity, i.key, i.uuid)"
            " INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT entity, key, uuid, false FROM gone"
            " ON CONFLICT (entity, uuid) DO UPDATE SET current = false"
        ).format(
            sidecar=names.sidecar,
            entity=literal(target.entity.name),
            table=names.table,
            key=names.key("t"),
        ),
    )


def retire_unmatched(target: Target) -> sql.Composed:
    """Retire what the ledger holds for keys that have another UUID by now, or whose record is gone.

    Not of a record that has none: it was rolled back before and not filled again yet, and its UUID is still to come.
    """
    names = EntitySql(target)
    return sql.SQL(
        "UPDATE dotpeen.issued AS l SET current = false WHERE l.entity = {entity} AND l.current AND ("
        "EXISTS (SELECT FROM {sidecar} AS i WHERE i.entity = l.entity AND i.key = l.key AND i.uuid <> l.uuid)"
        " OR (NOT EXISTS (SELECT FROM {sidecar} AS i WHERE i.entity = l.entity AND i.key = l.key)"
        " AND NOT EXISTS (SELECT FROM {table} AS t WHERE {key} = l.key)))"
    ).format(entity=literal(target.entity.name), sidecar=names.sidecar, table=names.table, key=names.key("t"))


def retire_gone(target: Target) -> sql.Composed:
    """Retire what the ledger kept of an earlier rollback for records that were deleted since.

    A key that is used again is another record, and must not inherit the UUID. A record without a UUID was not filled
    again yet: its own is still to come.
    """
    names = EntitySql(target)
    return sql.SQL(
        "UPDATE dotpeen.issued AS l SET current = false WHERE l.entity = {} AND l.current AND NOT EXISTS"
        " (SELECT FROM {} AS t WHERE {} = l.key AND (t.{column} IS NULL OR t.{column}::uuid = l.uuid))"
    ).format(literal(target.entity.name), names.table, names.key("t"), column=names.column)


def in_short_transactions(connection: Connection, *statements: sql.Composed) -> int:
    """Run statements in one transaction that gives way to the plant, until it succeeds; returns the last one's rows."""
    while True:
        try:
            with connection.transaction():
                # Whoever has locked a row may wait for the ledger next: give way before it becomes a deadlock.
                connection.execute(
                    "SELECT pg_catalog.set_config('lock_timeout', %s, true)", [_ROW_LOCK_TIMEOUT]
                )
                rows = 0
                for statement in statements:
                    rows = connection.execute(statement).rowcount
                return rows
        except _COLLISIONS:
            # The capture trigger wrote one of these keys between the statements, or a row is locked.
            time.sleep(0.05)


def _copy_range(connection: Connection, fill: Fill, unit: TableName, lower: Key | None, upper: Key) -> int:
    names = fill.names
    parts = {
        "entity": literal(fill.target.entity.name),
        "key": names.key("t"),
        "column": names.column,
        "unit": table_identifier(unit),
        "within": fill.keys.within(lower, upper),
    }
    retire = sql.SQL(
        "UPDATE dotpeen.issued AS l SET current = false FROM {unit} AS t WHERE {within} AND l.entity = {entity}"
        " AND l.current AND l.key = {key} AND l.uuid <> t.{column}::uuid"
    ).format(**parts)
    # FOR KEY SHARE: the key that is written is the key the row has until we commit.
    insert = sql.SQL(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT {entity}, s.key, s.uuid, true FROM"
        " (SELECT {key} AS key, t.{column}::uuid AS uuid FROM {unit} AS t WHERE {within} AND t.{column} IS NOT NULL"
        " FOR KEY SHARE OF t) AS s ON CONFLICT (entity, uuid) DO UPDATE SET key = excluded.key, current = true"
        " WHERE NOT issued.current OR issued.key <> excluded.key"
    ).format(**parts)
    try:
        return in_short_transactions(connection, retire, insert)
    except psycopg.errors.InvalidTextRepresentation as error:
        raise IssuedUuidError(
            f"{fill.target.entity.name}: {unit} holds a text that is no UUID: {error.diag.message_primary}",
            hint="correct it, or set it to NULL, and roll back again; nothing was taken away",
        ) from None
    except psycopg.errors.CardinalityViolation:
        raise IssuedUuidError(
            f"{fill.target.entity.name}: two rows of {unit} have the same UUID, and the ledger keeps one per UUID",
            hint="`dotpeen migrate verify` lists them; correct one (`dotpeen migrate guard off`) and roll back again",
        ) from None


def _always(table: sql.Identifier, trigger: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, sql.Identifier(trigger))


def _captured(names: EntitySql) -> sql.Composed:
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} AS $dotpeen$\n"
        "BEGIN\n"
        "  IF TG_OP = 'DELETE' THEN\n"
        "    UPDATE dotpeen.issued SET current = false WHERE entity = {entity} AND key = {old_key} AND current;\n"
        "    INSERT INTO dotpeen.issued (entity, key, uuid, current)\n"
        "      SELECT {entity}, {old_key}, OLD.{column}::uuid, false WHERE OLD.{column} IS NOT NULL\n"
        "      ON CONFLICT (entity, uuid) DO UPDATE SET current = false;\n"
        "    RETURN NULL;\n"
        "  END IF;\n"
        "  IF TG_OP = 'UPDATE' THEN\n"
        "    IF {old_key} = {new_key} AND OLD.{column} IS NOT DISTINCT FROM NEW.{column} THEN\n"
        "      RETURN NULL;\n"
        "    END IF;\n"
        "  END IF;\n"
        "  IF NEW.{column} IS NULL THEN\n"
        "    RETURN NULL;\n"
        "  END IF;\n"
        "  UPDATE dotpeen.issued SET current = false\n"
        "    WHERE entity = {entity} AND key = {new_key} AND current AND uuid <> NEW.{column}::uuid;\n"
        "  INSERT INTO dotpeen.issued (entity, key, uuid, current)\n"
        "    VALUES ({entity}, {new_key}, NEW.{column}::uuid, true)\n"
        "    ON CONFLICT (entity, uuid) DO UPDATE SET key = excluded.key, current = true;\n"
        "  RETURN NULL;\n"
        "END\n$dotpeen$"
    ).format(
        function=names.function("capture"),
        definer=DEFINER,
        entity=literal(names.target.entity.name),
        column=names.column,
        old_key=names.key("old"),
        new_key=names.key("new"),
    )


def _emptied(names: EntitySql) -> sql.Composed:
    # A key used again after a TRUNCATE is another record. No error may stop the plant's TRUNCATE: a UUID that stands
    # in two rows is kept once, a text that is none is left out.
    parts = {
        "entity": literal(names.target.entity.name),
        "key": names.key("t"),
        "column": names.column,
        "form": literal(CANONICAL_UUID_SQL),
    }
    retire = "UPDATE dotpeen.issued AS l SET current = false FROM "
    retired = sql.SQL(" AS t WHERE l.entity = {entity} AND l.current AND l.key = {key}").format(**parts)
    keep = sql.SQL(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT {entity}, {key}, t.{column}::uuid, false FROM "
    ).format(**parts)
    kept = sql.SQL(" AS t WHERE t.{column}::text ~ {form} ON CONFLICT (entity, uuid) DO NOTHING").format(
        **parts
    )
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} AS $dotpeen$\n"
        "BEGIN\n"
        "  EXECUTE {retire} || TG_RELID::pg_catalog.regclass || {retired};\n"
        "  EXECUTE {keep} || TG_RELID::pg_catalog.regclass || {kept};\n"
        "  RETURN NULL;\n"
        "END\n$dotpeen$"
    ).format(
        function=names.function("emptied"),
        definer=DEFINER,
        retire=literal(retire),
        **{
            name: literal(part.as_string())
            for name, part in {"retired": retired, "keep": keep, "kept": kept}.items()
        },
    )
