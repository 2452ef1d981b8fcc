"""Sidecar storage: the UUIDs of a table whose columns may not change live in a partition of `dotpeen.identity`.

Triggers on the table issue, re-key and retire identities; the table itself keeps its shape.
"""

from __future__ import annotations

from psycopg import sql

from dotpeen.migration.model import Lock, Stage, Step, Target
from dotpeen.migration.sql import DEFINER, SCHEMA, SIDECAR_TRIGGERS, EntitySql, literal, render
from dotpeen.registry import TableName

_FUNCTIONS = ("issue", "rekey", "retire", "truncate")


def expand(target: Target) -> list[Step]:
    """Make the partition, then the triggers."""
    names = EntitySql(target)
    present = {trigger.name for trigger in target.table.triggers}
    missing = [trigger for trigger in SIDECAR_TRIGGERS if trigger not in present]
    partition = Step(
        entity=target.entity.name,
        stage=Stage.EXPAND,
        name="sidecar partition",
        table=target.table.name,
        sql=render(*_partition(names)),
        undo=render(sql.SQL("DROP TABLE {}").format(names.sidecar)),
        done=target.sidecar is not None,
    )
    bodies = dict(
        zip(_FUNCTIONS, (_issue(names), _rekey(names), _retire(names), _truncate(names)), strict=True)
    )
    functions = Step(
        entity=target.entity.name,
        stage=Stage.EXPAND,
        name="trigger functions",
        table=target.table.name,
        sql=render(*bodies.values(), *(names.closed(purpose) for purpose in _FUNCTIONS)),
        undo=render(*(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(names.function(p)) for p in _FUNCTIONS)),
        done=all(names.has_function(purpose, body) for purpose, body in bodies.items()),
    )
    triggers = Step(
        entity=target.entity.name,
        stage=Stage.EXPAND,
        name="triggers that issue, re-key and retire",
        table=target.table.name,
        sql=render(*(part for trigger in missing for part in _trigger(names, trigger))),
        undo=render(*(_drop(names, trigger) for trigger in reversed(missing))),
        lock=Lock.SHARE_ROW_EXCLUSIVE,
        lock_first=target.table.owned,
        done=not missing,
    )
    return [partition, functions, triggers]


def remove(target: Target) -> list[Step]:
    """Drop triggers, functions and, once its UUIDs are in the ledger, the partition."""
    names = EntitySql(target)
    present = [trigger.name for trigger in target.table.triggers if trigger.name in SIDECAR_TRIGGERS]
    steps = [
        Step(
            entity=target.entity.name,
            stage=Stage.EXPAND,
            name="drop triggers",
            table=target.table.name,
            sql=render(*(_drop(names, trigger) for trigger in present)),
            lock=Lock.ACCESS_EXCLUSIVE,
            done=not present,
        )
    ]
    functions = [purpose for purpose in _FUNCTIONS if names.function_name(purpose) in target.functions]
    if functions:
        drop = [
            sql.SQL("DROP FUNCTION IF EXISTS {}()").format(names.function(purpose)) for purpose in functions
        ]
        steps.append(
            Step(
                entity=target.entity.name,
                stage=Stage.EXPAND,
                name="drop trigger functions",
                table=target.table.name,
                sql=render(*drop),
            )
        )
    if target.sidecar is not None:
        steps.append(
            Step(
                entity=target.entity.name,
                stage=Stage.EXPAND,
                name="drop sidecar partition",
                table=TableName(SCHEMA, "identity"),
                sql=render(sql.SQL("DROP TABLE {}").format(names.sidecar)),
                # On the parent, where every lookup passes: never to be waited for without a limit.
                lock=Lock.ACCESS_EXCLUSIVE,
            )
        )
    return steps


def _partition(names: EntitySql) -> list[sql.Composable]:
    # Made alone and then attached: CREATE ... PARTITION OF would lock dotpeen.identity, and with it every lookup.
    entity = literal(names.target.entity.name)
    return [
        sql.SQL("CREATE TABLE {} (LIKE dotpeen.identity INCLUDING DEFAULTS)").format(names.sidecar),
        sql.SQL("ALTER TABLE {} ADD CHECK (entity = {}), ADD PRIMARY KEY (entity, key)").format(
            names.sidecar, entity
        ),
        sql.SQL(
            "CREATE TRIGGER zz_dotpeen_guard BEFORE UPDATE ON {} FOR EACH ROW "
            "WHEN (NEW.uuid IS DISTINCT FROM OLD.uuid) EXECUTE FUNCTION dotpeen.refuse_uuid_change({}, 'uuid')"
        ).format(names.sidecar, entity),
        sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER zz_dotpeen_guard").format(names.sidecar),
        sql.SQL("ALTER TABLE dotpeen.identity ATTACH PARTITION {} FOR VALUES IN ({})").format(
            names.sidecar, entity
        ),
    ]


def _function(names: EntitySql, purpose: str, body: sql.Composable) -> sql.Composed:
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {definer} "
        "AS $dotpeen$\nBEGIN\n{body}\nEND\n$dotpeen$"
    ).format(function=names.function(purpose), definer=DEFINER, body=body)


def _issue(names: EntitySql) -> sql.Composed:
    # For each row: a statement's trigger fires neither for rows put straight into a partition nor on a subscriber.
    body = sql.SQL(
        "  INSERT INTO {} (entity, key, uuid) VALUES ({}, {}, {}) ON CONFLICT (entity, key) DO NOTHING;\n  RETURN NULL;"
    ).format(names.sidecar, literal(names.target.entity.name), names.key("new"), names.fresh("new"))
    return _function(names, "issue", body)


def _rekey(names: EntitySql) -> sql.Composed:
    # A record that was rolled back and not filled again yet takes its UUID along from the ledger.
    body = sql.SQL(
        "  UPDATE {sidecar} SET key = {new} WHERE entity = {entity} AND key = {old};\n"
        "  IF NOT FOUND THEN\n"
        "    WITH taken AS (UPDATE dotpeen.issued SET current = false\n"
        "                    WHERE entity = {entity} AND key = {old} AND current RETURNING uuid)\n"
        "    INSERT INTO {sidecar} (entity, key, uuid) SELECT {entity}, {new}, uuid FROM taken\n"
        "    ON CONFLICT (entity, key) DO NOTHING;\n"
        "  END IF;\n"
        "  RETURN NEW;"
    ).format(
        sidecar=names.sidecar,
        entity=literal(names.target.entity.name),
        new=names.key("new"),
        old=names.key("old"),
    )
    return _function(names, "rekey", body)


def _retired(names: EntitySql, condition: sql.Composable) -> sql.Composed:
    # A key used again after a delete is another record: it must not inherit the UUID.
    return sql.SQL(
        "  WITH gone AS (DELETE FROM {} AS i {} RETURNING i.entity, i.key, i.uuid)\n"
        "  INSERT INTO dotpeen.issued (entity, key, uuid, current) SELECT entity, key, uuid, false FROM gone\n"
        "  ON CONFLICT (entity, uuid) DO NOTHING;\n  RETURN NULL;"
    ).format(names.sidecar, condition)


def _retire(names: EntitySql) -> sql.Composed:
    condition = sql.SQL("WHERE i.entity = {} AND i.key = {}").format(
        literal(names.target.entity.name), names.key("old")
    )
    return _function(names, "retire", _retired(names, condition))


def _truncate(names: EntitySql) -> sql.Composed:
    condition = sql.SQL("WHERE i.entity = {}").format(literal(names.target.entity.name))
    return _function(names, "truncate", _retired(names, condition))


def _trigger(names: EntitySql, trigger: str) -> list[sql.Composable]:
    # By text, as keys are kept: 1.0 and 1.00 are equal numbers and different keys.
    changed = sql.SQL("{} IS DISTINCT FROM {}").format(names.key("old"), names.key("new"))
    events: dict[str, sql.SQL] = {
        "zz_dotpeen_issue": sql.SQL("AFTER INSERT ON {table} FOR EACH ROW"),
        "zz_dotpeen_rekey": sql.SQL("BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed})"),
        "zz_dotpeen_retire": sql.SQL("AFTER DELETE ON {table} FOR EACH ROW"),
        "zz_dotpeen_truncate": sql.SQL("AFTER TRUNCATE ON {table} FOR EACH STATEMENT"),
    }
    event = events[trigger].format(table=names.table, changed=changed)
    create = sql.SQL("CREATE TRIGGER {} {} EXECUTE FUNCTION {}()").format(
        sql.Identifier(trigger), event, names.function(trigger.removeprefix("zz_dotpeen_"))
    )
    if not names.target.table.owned:
        # TRIGGER is a right that can be granted; only the owner may alter the table.
        return [create]
    return [
        create,
        sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(names.table, sql.Identifier(trigger)),
    ]


def _drop(names: EntitySql, trigger: str) -> sql.Composed:
    return sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), names.table)
