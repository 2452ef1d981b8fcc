"""The plan as a Prisma migration: migration.sql for Prisma's shadow and development databases, models, instructions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from psycopg import sql

from dotpeen import __version__
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration.emit.prisma_models import models
from dotpeen.migration.emit.prisma_schema import with_uuids
from dotpeen.migration.emit.script import schema_block
from dotpeen.migration.model import Reference, Target
from dotpeen.migration.sql import FILL_TRIGGER, EntitySql, literal
from dotpeen.migration.stages.expand import fill_function, fill_trigger
from dotpeen.migration.stages.index import unique_columns

MODELS_FILE = PurePosixPath("prisma/uuid-models.prisma.txt")
"""Not named `.prisma`: a schema of several files would read it, and find its models twice."""


_HEAD = """\
-- For Prisma's shadow database and for development databases. It locks each table while it runs: on the plant's
-- database `dotpeen migrate up` does the same without, and this is only marked as applied (see README.md).
"""


def migration_name(targets: Mapping[str, Target], timestamp: str) -> str:
    """The folder's name: `20251107000000_add_uuids_phase1`."""
    phases = sorted({target.entity.phase for target in targets.values()})
    return f"{timestamp}_add_uuids_phase{'_'.join(map(str, phases))}"


def prisma_files(
    targets: Mapping[str, Target],
    *,
    timestamp: str,
    schema: str | None = None,
    schema_file: str = "schema.prisma",
) -> dict[PurePosixPath, str]:
    """Return the files of the migration by their path in the project; with `schema`, that schema changed as well."""
    name = migration_name(targets, timestamp)
    folder = PurePosixPath("prisma/migrations") / name
    if schema is None:
        changed, changed_path = _fragment(targets), MODELS_FILE
    else:
        changed, changed_path = (
            with_uuids(schema, targets, file=schema_file),
            PurePosixPath("prisma") / schema_file,
        )
    return {
        folder / "migration.sql": migration_sql(targets),
        folder / "README.md": _readme(targets, name, changed_path, own=schema is not None),
        changed_path: changed,
    }


def migration_sql(targets: Mapping[str, Target]) -> str:
    """One plain script to the same columns, defaults and indexes as on the migrated database."""
    columns = [target for target in targets.values() if target.entity.uuid.storage == "column"]
    parts = [_HEAD]
    if any(_needs_schema(target) for target in columns):
        block = schema_block()
        parts.append(f"-- {block.title}\n" + "".join(f"{statement};\n" for statement in block.statements))
    parts += [_table(target) for target in columns]
    return "\n".join(parts)


def _table(target: Target) -> str:
    names, uuid = EntitySql(target), target.entity.uuid
    before = _before(target)
    statements: list[sql.Composable] = []

    def alter(action: str, *values: sql.Composable) -> None:
        filled = sql.SQL(action).format(*values)
        statements.append(sql.SQL("ALTER TABLE {} {}").format(_name(target), filled))

    if not before["column"]:
        alter("ADD COLUMN {} {}", names.column, sql.SQL(uuid.type.upper()))
    if uuid.version == 5:
        statements += [fill_function(names), _fill_trigger(names, target)]
    if names.default is not None and not before["default"]:
        alter("ALTER COLUMN {} SET DEFAULT {}", names.column, names.default)
    if not before["not_null"]:
        statements.append(
            sql.SQL("UPDATE {} AS t SET {} = {} WHERE {} IS NULL").format(
                _name(target), names.column, names.typed(names.fresh("t")), names.column
            )
        )
        alter("ALTER COLUMN {} SET NOT NULL", names.column)
    if uuid.type == "text":
        alter(
            "ADD CONSTRAINT {} CHECK ({} ~ {})",
            sql.Identifier(names.format_name),
            names.column,
            literal(CANONICAL_UUID_SQL),
        )
    if target.table.kind == "partitioned":
        statements.append(_partitioned_index(target, names))
    elif not before["unique"]:
        alter("ADD CONSTRAINT {} UNIQUE ({})", sql.Identifier(names.index_name), names.column)
    for one in target.declared:
        if one.storage == "column":
            statements += _reference(target, one)
    body = "".join(statement.as_string() + ";\n" for statement in statements)
    return f"-- {target.entity.name}\n{body}"


def _reference(target: Target, one: Reference) -> list[sql.Composable]:
    there = one.column in target.table.columns
    index = any(index.covers_exactly([one.column]) for index in target.table.indexes)
    before = one.before if one.before is not None else {"column": there, "unique": index}
    statements: list[sql.Composable] = []
    if not before.get("column"):
        column, type_ = sql.Identifier(one.column), sql.SQL(one.type.upper())
        statements.append(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(_name(target), column, type_))
    if not before.get("unique"):
        columns, unique = unique_columns(target, one.column)
        name = EntitySql(target).index_name_for(target.table.name.name, one.column)
        statements.append(
            sql.SQL("CREATE {} {} ON {} ({}) WHERE {} IS NOT NULL").format(
                sql.SQL("UNIQUE INDEX" if unique else "INDEX"),
                sql.Identifier(name),
                _name(target),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.Identifier(one.column),
            )
        )
    return statements


def _partitioned_index(target: Target, names: EntitySql) -> sql.Composed:
    columns, unique = unique_columns(target)
    return sql.SQL("CREATE {} {} ON {} ({})").format(
        sql.SQL("UNIQUE INDEX" if unique else "INDEX"),
        sql.Identifier(names.index_name),
        _name(target),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )


def _fill_trigger(names: EntitySql, target: Target) -> sql.Composed:
    drop = sql.SQL("DROP TRIGGER IF EXISTS {} ON {};\n").format(sql.Identifier(FILL_TRIGGER), _name(target))
    return sql.SQL("{}{}").format(drop, fill_trigger(names))


def _name(target: Target) -> sql.Identifier:
    table = target.table.name
    # As Prisma writes it: the schema of the connection serves unless the table is in another than public.
    return (
        sql.Identifier(table.name) if table.schema == "public" else sql.Identifier(table.schema, table.name)
    )


def _before(target: Target) -> dict[str, object]:
    """What the table had before Dotpeen: remembered, or what it has now."""
    if target.state is not None:
        return {"column": False, "default": None, "not_null": False, "unique": False} | target.state.before
    column = target.table.columns.get(target.entity.uuid.column)
    return {
        "column": column is not None,
        "default": column.default if column else None,
        "not_null": column is not None and column.not_null,
        "unique": any(index.covers_exactly([target.entity.uuid.column]) for index in target.table.indexes),
    }


def _needs_schema(target: Target) -> bool:
    """Version 5 is made by the trigger; version 7 before PostgreSQL 18 by a function of ours."""
    uuid = target.entity.uuid
    return uuid.version == 5 or (uuid.version == 7 and target.server_version < 180000)


def _fragment(targets: Mapping[str, Target]) -> str:
    return (
        "// The models of the entities as the database has them, with their UUID fields. Not a whole schema: copy the\n"
        "// UUID fields into your own, or export again with --schema-prisma to have that done. Relations and\n"
        "// indexes over several columns are left out.\n\n" + models(targets)
    )


def _readme(targets: Mapping[str, Target], name: str, schema: PurePosixPath, *, own: bool) -> str:
    inside = [t.entity for t in targets.values() if t.entity.uuid.storage == "column"]
    beside = [t.entity.name for t in targets.values() if t.entity.uuid.storage == "sidecar"]
    rows = "".join(
        f"| {entity.name} | `{entity.table}` | `{entity.uuid.column}` | {entity.uuid.type} | {entity.uuid.version} |\n"
        for entity in inside
    )
    models_line = (
        f"`{schema}` is your schema with the fields added; nothing else in it was touched."
        if own
        else f"`{schema}` has the models as they will be: copy the UUID fields into your schema."
    )
    notes = []
    if beside:
        notes.append(
            f"- {', '.join(beside)}: the UUIDs are kept beside the table (sidecar), in schema `dotpeen`."
            " There is nothing for Prisma to see, and nothing here."
        )
    if any(entity.uuid.type == "text" for entity in inside):
        notes.append(
            "- Text columns have no default in the database, as Prisma expects of `@default(uuid())`."
            " Writers other than Prisma get their UUID from Dotpeen's trigger."
        )
    if any(entity.uuid.version == 5 for entity in inside):
        notes.append(
            "- Version 5 UUIDs are derived by a trigger: `@default(dbgenerated())` keeps Prisma from sending one."
        )
    notes.append(
        "- Prisma does not see triggers, checks and schema `dotpeen`: leave it out of the datasource's `schemas`."
    )
    notes.append("- No `@@index` on the UUID: its unique index serves every lookup.")
    linked = [f"`{one.column}`" for t in targets.values() for one in t.declared if one.storage == "column"]
    if linked:
        notes.append(
            f"- {', '.join(linked)}: external references of plugins. Their unique indexes hold only the rows that"
            " have one (`WHERE … IS NOT NULL`), which Prisma does not see: the fields have no `@unique`."
        )
    return f"""# {name}

Permanent UUIDs, made by dotpeen {__version__}.

| entity | table | column | type | version |
|---|---|---|---|---|
{rows}
{models_line}

## The plant's database

Do not run `migration.sql` there: it would lock each table while it fills it. In this order:

1. `dotpeen migrate up`, or the script of `dotpeen migrate export --format sql`
2. `npx prisma migrate resolve --applied {name}`
3. deploy the changed schema; `npx prisma migrate status` reports no difference

## Development databases

`npx prisma migrate dev` runs `migration.sql`, there and on Prisma's shadow database. `dotpeen migrate up` afterwards
adds the triggers that keep issued UUIDs from changing.

## Notes

{chr(10).join(notes)}
"""
