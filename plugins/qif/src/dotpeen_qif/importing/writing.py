"""Makes and changes the records that were matched: many rows in one statement, and one by one to find a wrong one."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.isolation import isolated
from dotpeen_qif.importing.plans import changeable
from dotpeen_qif.importing.targets import COMMA, Role, Target, Targets, typed
from dotpeen_qif.importing.values import fillers, inserted, joins, paired, said


def write(connection: Connection, targets: Targets, choices: Choices, role: Role) -> None:
    """Write the rows of one role; those that the database refuses become conflicts."""
    target = targets[role]
    columns = inserted(target, choices)
    isolated(
        connection,
        target.staged,
        sql.SQL("s.state = 'new' AND s.outcome IS NULL"),
        lambda rows: insert(
            connection,
            target,
            columns,
            source=sql.SQL("{} AS s{} WHERE {}").format(target.staged, joins(target, targets), rows),
            uuid=sql.SQL("s.uuid"),
        ),
    )
    connection.execute(
        sql.SQL("UPDATE {} SET outcome = 'created' WHERE state = 'new' AND outcome IS NULL").format(
            target.staged
        )
    )
    connection.execute(
        sql.SQL("UPDATE {} SET outcome = 'unchanged' WHERE state = 'found' AND outcome IS NULL").format(
            target.staged
        )
    )
    if role in ("plan", "characteristic"):
        kept = {target.columns[name].column for name in ("number", "version") if name in target.columns}
        changes = changeable({k: v for k, v in said(target).items() if k not in kept}, "")
        change(connection, target, changes, choices)


def change(
    connection: Connection, target: Target, columns: Mapping[str, sql.Composable], choices: Choices
) -> None:
    """Change the records of rows with the outcome `updated`; the moment of the change goes with it."""
    pairs = dict(columns)
    moments = {name: value for name, value in fillers(target, choices).items() if name in choices.touched[1:]}
    if not pairs:
        return
    isolated(
        connection,
        target.staged,
        sql.SQL("s.outcome = 'updated'"),
        lambda rows: connection.execute(
            sql.SQL("UPDATE {} AS t SET {} FROM {} AS s{} WHERE {} AND {}").format(
                target.table,
                paired({**pairs, **moments}),
                target.staged,
                _identified(target),
                rows,
                _is_row(target),
            )
        ),
    )


def insert(
    connection: Connection,
    target: Target,
    columns: Mapping[str, sql.Composable],
    *,
    source: sql.Composable,
    uuid: sql.Composable,
) -> None:
    """Make records of the rows `s` of a source, with their UUIDs."""
    shape = target.shape
    values = dict(columns)
    if target.makes_key:
        values[shape.key[0].column] = typed(shape.key[0], sql.SQL("s.key"))
    if target.sidecar is None:
        place = shape.fields[shape.place.name]
        values[place.column] = typed(place, uuid)
    else:
        # First the UUID, then the record: its trigger leaves alone what is there.
        connection.execute(
            sql.SQL("INSERT INTO {} (entity, key, uuid) SELECT {}, s.key, {} FROM {}").format(
                target.sidecar, sql.Literal(target.entity), uuid, source
            )
        )
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY s.n").format(
            target.table,
            COMMA.join(map(sql.Identifier, values)),
            COMMA.join(values.values()),
            source,
        )
    )


def _identified(target: Target) -> sql.Composable:
    """What the record `t` is found by, where its UUID is not in its table."""
    if target.sidecar is None:
        return sql.SQL("")
    return sql.SQL(" JOIN {} AS side ON side.entity = {} AND side.uuid = s.uuid").format(
        target.sidecar, sql.Literal(target.entity)
    )


def _is_row(target: Target) -> sql.Composable:
    if target.sidecar is None:
        return target.has_uuid(sql.SQL("s.uuid"))
    return sql.SQL("side.key = {}").format(target.key_text("t"))
