"""External references: what is remembered of them, and their values on the way off a table and back.

A rollback drops the columns that Dotpeen made. Before one goes, every value in it is written to
`dotpeen.external_kept`: a trigger captures what changes meanwhile, batches copy what is there. Migrating again gives
every record its own back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from dotpeen.contributions import ExternalReference
from dotpeen.database import Connection, Table
from dotpeen.database.references import RememberedReference
from dotpeen.errors import ConfigurationError
from dotpeen.migration import ranges
from dotpeen.migration.events import Notify, Progressed
from dotpeen.migration.fill import Fill
from dotpeen.migration.ledger import BATCH_ROWS, in_short_transactions
from dotpeen.migration.model import Reference, Target
from dotpeen.migration.ranges import Key
from dotpeen.migration.sql import EntitySql, literal, table_identifier
from dotpeen.registry import Entity, TableName

Contributed = Sequence[tuple[str, ExternalReference]]
"""External references with the names of the plugins that declare them."""


def references_of(
    entity: Entity,
    table: Table,
    contributed: Contributed,
    remembered: dict[tuple[str, str], RememberedReference],
    kept: Container[str],
) -> tuple[Reference, ...]:
    """Put together what is declared and what is remembered of an entity; `kept`: names whose values wait.

    Raises `ConfigurationError` when a reference was migrated with another column or type than it has now.
    """
    declared = {one.name: (plugin, one) for plugin, one in contributed if one.entity == entity.name}
    known = {name: one for (owner, name), one in remembered.items() if owner == entity.name}
    found = []
    for name, (plugin, one) in declared.items():
        before = known.get(name)
        if before is not None and (before.column, before.type) != (one.column, one.type):
            raise ConfigurationError(
                f"{entity.name}: external reference {name} was migrated as column {before.column} of type"
                f" {before.type}; plugin {plugin} now says column {one.column} of type {one.type}",
                hint="put the plugin back as it was, roll back with `dotpeen migrate down`, then change it",
            )
        # The column of a table that may not be altered can be there all the same.
        beside = entity.uuid.storage == "sidecar" and one.column not in table.columns
        storage = before.storage if before is not None else "sidecar" if beside else "column"
        found.append(
            Reference(
                name,
                one.column,
                one.type,
                plugin,
                storage=storage,
                before=before.before if before is not None else None,
                kept=name in kept,
            )
        )
    for name, row in known.items():
        if name not in declared:
            found.append(
                Reference(
                    name, row.column, row.type, row.plugin, row.storage, declared=False, before=row.before
                )
            )
    return tuple(found)


def kept_references(connection: Connection, entity: Entity, contributed: Contributed) -> set[str]:
    """Name those declared whose values wait to be given back; none where schema `dotpeen` is older than they are."""
    names = [one.name for _, one in contributed if one.entity == entity.name]
    row = connection.execute("SELECT pg_catalog.to_regclass('dotpeen.external_kept') IS NOT NULL").fetchone()
    if not names or row is None or not row[0]:
        return set()
    rows = connection.execute(
        "SELECT n FROM unnest(%s::text[]) AS n WHERE EXISTS"
        " (SELECT FROM dotpeen.external_kept AS l WHERE l.entity = %s AND l.name = n AND l.current)",
        [names, entity.name],
    )
    return {name for (name,) in rows}


def register(connection: Connection, target: Target) -> None:
    """Remember what the table has of the references declared, before their first step; again changes nothing."""
    indexes = target.table.indexes
    for one in target.declared:
        before = {
            "column": one.column in target.table.columns,
            "unique": any(index.covers_exactly([one.column]) for index in indexes),
        }
        connection.execute(
            "INSERT INTO dotpeen.external_reference (entity, name, plugin, column_name, type, storage, before)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entity, name) DO NOTHING",
            [target.entity.name, one.name, one.plugin, one.column, one.type, one.storage, Jsonb(before)],
        )


def forget(connection: Connection, target: Target) -> None:
    """Forget the references of an entity that was rolled back; their values stay."""
    if target.references:
        connection.execute("DELETE FROM dotpeen.external_reference WHERE entity = %s", [target.entity.name])


def to_keep(target: Target) -> tuple[Reference, ...]:
    """The references whose columns a rollback drops."""
    return tuple(one for one in target.references if one.created and one.column in target.table.columns)


def keep(connection: Connection, target: Target, notify: Notify) -> int:
    """Copy the values of every row, batch by batch; returns how many are kept."""
    kept = to_keep(target)
    fill = Fill(target)
    in_short_transactions(connection, retire_gone(fill.names, kept))
    total = _in_ranges(
        connection,
        fill,
        lambda unit, within: keep_range(fill.names, kept, unit, within),
        lambda done: notify(
            Progressed(target.entity.name, todo=max(target.table.estimated_rows, done), done=done)
        ),
    )
    in_short_transactions(connection, retire_gone(fill.names, kept))
    return total


def give_back(connection: Connection, target: Target) -> int:
    """Write kept values into their records, as far as these have none yet; returns how many."""
    fill = Fill(target)
    total = 0
    for one in target.declared:
        if not one.kept or one.storage != "column":
            continue

        def statements(
            unit: TableName, within: sql.Composable, reference: Reference = one
        ) -> list[sql.Composed]:
            return give_back_range(fill.names, reference, unit, within)

        total += _in_ranges(connection, fill, statements, lambda done: None)
        # What is left belongs to records that are gone.
        in_short_transactions(connection, given_back(fill.names, one))
    return total


def retire_values(connection: Connection, target: Target) -> int:
    """Delete the values of records that went while no trigger was there to see it; every record has its identity."""
    names = EntitySql(target)
    return in_short_transactions(
        connection,
        sql.SQL(
            "DELETE FROM dotpeen.external_value AS v WHERE v.entity = {entity} AND NOT EXISTS"
            " (SELECT FROM {sidecar} AS i WHERE i.entity = {entity} AND i.key = v.key)"
        ).format(entity=literal(target.entity.name), sidecar=names.sidecar),
    )


def keep_range(
    names: EntitySql, kept: Sequence[Reference], unit: TableName, within: sql.Composable
) -> list[sql.Composed]:
    """Retire what a range of rows no longer has, then write what it has."""
    parts = _parts(names, kept) | {"unit": table_identifier(unit), "within": within}
    retire = sql.SQL(
        "UPDATE dotpeen.external_kept AS l SET current = false FROM {unit} AS t WHERE {within} AND l.entity = {entity}"
        " AND l.current AND l.key = {key} AND l.name IN ({listed}) AND ({value}) IS NULL"
    ).format(**parts)
    # FOR KEY SHARE: the key that is written is the key the row has until we commit.
    copy = sql.SQL(
        "INSERT INTO dotpeen.external_kept (entity, name, key, value, current) SELECT {entity}, v.name, s.key, v.value,"
        " true FROM (SELECT {key} AS key, {columns} FROM {unit} AS t WHERE {within} AND ({any}) FOR KEY SHARE OF t)"
        " AS s CROSS JOIN LATERAL (VALUES {pairs}) AS v(name, value) WHERE v.value IS NOT NULL"
        " ON CONFLICT (entity, key, name) DO UPDATE SET value = excluded.value, current = true,"
        " kept_at = excluded.kept_at WHERE NOT external_kept.current OR external_kept.value <> excluded.value"
    ).format(**parts)
    return [retire, copy]


def retire_gone(names: EntitySql, kept: Sequence[Reference]) -> sql.Composed:
    """Retire the values of records that are gone, or have another value by now."""
    return sql.SQL(
        "UPDATE dotpeen.external_kept AS l SET current = false WHERE l.entity = {entity} AND l.current"
        " AND l.name IN ({listed}) AND NOT EXISTS (SELECT FROM {table} AS t WHERE {key} = l.key"
        " AND ({value}) = l.value)"
    ).format(table=names.table, **_parts(names, kept))


def give_back_range(
    names: EntitySql, one: Reference, unit: TableName, within: sql.Composable
) -> list[sql.Composed]:
    """Retire the values of rows that have another by now, then write the others."""
    parts = {
        "entity": literal(names.target.entity.name),
        "name": literal(one.name),
        "column": sql.Identifier(one.column),
        "key": names.key("t"),
        "unit": table_identifier(unit),
        "within": within,
        "value": sql.SQL("l.value::uuid" if one.type == "uuid" else "l.value"),
    }
    retire = sql.SQL(
        "UPDATE dotpeen.external_kept AS l SET current = false FROM {unit} AS t WHERE {within} AND l.entity = {entity}"
        " AND l.name = {name} AND l.current AND l.key = {key} AND t.{column} IS NOT NULL"
    ).format(**parts)
    write = sql.SQL(
        "UPDATE {unit} AS t SET {column} = {value} FROM dotpeen.external_kept AS l WHERE {within}"
        " AND l.entity = {entity} AND l.name = {name} AND l.current AND l.key = {key} AND t.{column} IS NULL"
    ).format(**parts)
    return [retire, write]


def given_back(names: EntitySql, one: Reference) -> sql.Composed:
    """Nothing waits any more."""
    return sql.SQL(
        "UPDATE dotpeen.external_kept SET current = false WHERE entity = {} AND name = {} AND current"
    ).format(literal(names.target.entity.name), literal(one.name))


def value_of(alias: str, kept: Sequence[Reference], name: sql.Composable) -> sql.Composed:
    """The text of the column that a reference's name stands for, of a row."""
    cases = sql.SQL(" ").join(
        sql.SQL("WHEN {} THEN {}::text").format(literal(one.name), sql.Identifier(alias, one.column))
        for one in kept
    )
    return sql.SQL("CASE {} {} END").format(name, cases)


def listed(kept: Sequence[Reference]) -> sql.Composed:
    """Their names as literals."""
    return sql.SQL(", ").join(literal(one.name) for one in kept)


def _parts(names: EntitySql, kept: Sequence[Reference]) -> dict[str, sql.Composable]:
    count = range(len(kept))
    columns = [sql.SQL("{}::text AS {}").format(sql.Identifier("t", kept[n].column), _nth(n)) for n in count]
    pairs = [sql.SQL("({}, s.{})").format(literal(kept[n].name), _nth(n)) for n in count]
    there = [sql.SQL("{} IS NOT NULL").format(sql.Identifier("t", one.column)) for one in kept]
    return {
        "entity": literal(names.target.entity.name),
        "key": names.key("t"),
        "listed": listed(kept),
        "value": value_of("t", kept, sql.SQL("l.name")),
        "columns": sql.SQL(", ").join(columns),
        "pairs": sql.SQL(", ").join(pairs),
        "any": sql.SQL(" OR ").join(there),
    }


def _nth(number: int) -> sql.Identifier:
    return sql.Identifier(f"value{number}")


def _in_ranges(
    connection: Connection,
    fill: Fill,
    statements: Callable[[TableName, sql.Composable], list[sql.Composed]],
    tell: Callable[[int], None],
) -> int:
    """Run statements over ranges of the primary key, a short transaction each; returns the rows of the last ones."""
    total = 0
    for unit in fill.target.table.leaves:
        lower: Key | None = None
        bound = ranges.largest_key(connection, unit, fill.keys)
        while bound is not None and lower != bound:
            upper = ranges.key_after(connection, unit, fill.keys, lower, bound, BATCH_ROWS) or bound
            total += in_short_transactions(connection, *statements(unit, fill.keys.within(lower, upper)))
            tell(total)
            lower = upper
    return total
