"""The ledger `dotpeen.issued`: before a column or sidecar goes, every UUID in it is written here, and none is missed.

A trigger captures what changes meanwhile; batches copy what is there. Migrating again gives every record its UUID back.
"""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen.errors import IssuedUuidError
from dotpeen.migration import ranges
from dotpeen.migration.events import Notify, Progressed
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.ranges import Key
from dotpeen.migration.sql import CAPTURE_TRIGGER, DEFINER, EntitySql, literal, render, table_identifier
from dotpeen.registry import TableName

BATCH_ROWS = 5000
_ROW_LOCK_TIMEOUT = "300ms"

_COLLISIONS = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,  # a row that we waited for went to another partition
)


def capture(target: Target) -> list[Step]:
    """Steps after which every new, changed or deleted row's UUID goes to the ledger at once."""
    names = EntitySql(target)
    present = any(trigger.name == CAPTURE_TRIGGER for trigger in target.table.triggers)
    trigger = sql.SQL(
        "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
    ).format(sql.Identifier(CAPTURE_TRIGGER), names.table, names.function("capture"))
    enable = sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(
        names.table, sql.Identifier(CAPTURE_TRIGGER)
    )
    return [
        Step(
            target.entity.name,
            Stage.EXPAND,
            "capture function",
            target.table.name,
            render(_function(names), names.closed("capture")),
        ),
        Step(
            target.entity.name,
            Stage.EXPAND,
            "capture trigger",
            target.table.name,
            render(trigger, enable),
            lock=Lock.SHARE_ROW_EXCLUSIVE,
            done=present,
        ),
    ]


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
    _in_short_transactions(connection, retire_gone(target))
    return total


def copy_sidecar(connection: Connection, target: Target) -> int:
    """Copy what is in the sidecar and not yet current in the ledger."""
    names = EntitySql(target)
    entity = literal(target.entity.name)
    _in_short_transactions(connection, retire_unmatched(target))
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
        total += _in_short_transactions(
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
    return _in_short_transactions(
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


def _in_short_transactions(connection: Connection, *statements: sql.Composed) -> int:
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
        return _in_short_transactions(connection, retire, insert)
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


def _function(names: EntitySql) -> sql.Composed:
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} AS $dotpeen$\n"
        "BEGIN\n"
        "  IF TG_OP = 'DELETE' THEN\n"
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
