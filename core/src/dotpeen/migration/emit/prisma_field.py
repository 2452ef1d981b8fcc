"""How Prisma has to write a UUID column so that it sees no difference to the migrated database."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from dotpeen.errors import ConfigurationError
from dotpeen.migration.model import Target
from dotpeen.migration.sql import EntitySql
from dotpeen.migration.stages.index import unique_columns

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class UuidField:
    """The field, but for its name: attributes of the field and of the model."""

    column: str
    unique: str | None
    """`@unique`, with `map:` where the name is not Prisma's own; None on a partitioned table."""
    default: str
    native: str | None
    partition_columns: tuple[str, ...] = ()
    """The columns of the unique index of a partitioned table, the UUID first; empty for other tables."""
    partition_unique: bool = True
    index: str = ""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The field's attributes, in the order in which Prisma's formatter has them."""
        return tuple(part for part in (self.unique, self.default, self.native) if part)


def uuid_field(target: Target) -> UuidField:
    """Describe the UUID column of an entity that keeps it in its table."""
    names, uuid, table = EntitySql(target), target.entity.uuid, target.table
    there = table.columns.get(uuid.column)
    native = "@db.Uuid" if uuid.type == "uuid" else None
    if there is not None and there.type.startswith("character varying"):
        native = "@db.VarChar" + there.type.removeprefix("character varying")
    default = _default(target)
    if table.kind == "partitioned":
        columns, unique = unique_columns(target)
        return UuidField(uuid.column, None, default, native, tuple(columns), unique, names.index_name)
    existing = next((i.name for i in table.indexes if i.covers_exactly([uuid.column])), names.index_name)
    usual = f"{table.name.name}_{uuid.column}_key"
    # Prisma shortens long names in its own way.
    plain = existing == usual and len(usual.encode()) <= 63
    unique_attribute = "@unique" if plain else f"@unique(map: {quoted(existing)})"
    return UuidField(uuid.column, unique_attribute, default, native)


def field_name(column: str, taken: set[str], *, camel: bool) -> tuple[str, str | None]:
    """Return a field's name for a column, and its `@map` where it is another than the column's."""
    name = column
    if camel and "_" in column.strip("_"):
        first, *rest = [part for part in column.split("_") if part]
        name = first + "".join(part[:1].upper() + part[1:] for part in rest)
    if _IDENTIFIER.fullmatch(name) is None:
        name = re.sub(r"[^A-Za-z0-9_]", "_", name)
        name = name if name[:1].isascii() and name[:1].isalpha() else f"field_{name.lstrip('_')}"
    if name in taken:
        raise ConfigurationError(
            f"the Prisma model has a field {name!r} for another column than {column!r}",
            hint="rename that field (with @map), or give the UUID column another name in the registry",
        )
    return name, None if name == column else f"@map({quoted(column)})"


def model_attribute(field: UuidField, names: dict[str, str]) -> str | None:
    """The `@@unique` or `@@index` of a partitioned table's model; `names` are the fields by column."""
    if not field.partition_columns:
        return None
    listed = ", ".join(names[column] for column in field.partition_columns)
    return f"@@{'unique' if field.partition_unique else 'index'}([{listed}], map: {quoted(field.index)})"


def quoted(text: str) -> str:
    """A Prisma string."""
    return json.dumps(text, ensure_ascii=False)


def _default(target: Target) -> str:
    uuid = target.entity.uuid
    there = target.table.columns.get(uuid.column)
    if there is not None and there.default is not None:
        # Prisma reads defaults with the table's schema in its search path: without that prefix.
        shown = there.default.removeprefix(f"{target.table.name.schema}.")
        return f"@default(dbgenerated({quoted(shown)}))"
    if uuid.version == 5:
        # The trigger fills it; Prisma must neither send a value nor expect a default in the database.
        return "@default(dbgenerated())"
    if uuid.type == "text":
        return "@default(uuid())" if uuid.version == 4 else "@default(uuid(7))"
    if uuid.version == 4:
        return '@default(dbgenerated("gen_random_uuid()"))'
    function = "uuidv7()" if target.server_version >= 180000 else "dotpeen.uuid_v7()"
    return f'@default(dbgenerated("{function}"))'
