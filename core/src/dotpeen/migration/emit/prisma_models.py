"""Prisma models of the entities' tables as the catalog has them, the UUID field included: a fragment to copy from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dotpeen.database import Column, Table
from dotpeen.migration.emit.prisma_field import field_name, model_attribute, quoted, uuid_field
from dotpeen.migration.model import Target

_TYPES: Final = {
    "text": ("String", None),
    "uuid": ("String", "@db.Uuid"),
    "integer": ("Int", None),
    "smallint": ("Int", "@db.SmallInt"),
    "bigint": ("BigInt", None),
    "oid": ("Int", "@db.Oid"),
    "boolean": ("Boolean", None),
    "double precision": ("Float", None),
    "real": ("Float", "@db.Real"),
    "money": ("Decimal", "@db.Money"),
    "date": ("DateTime", "@db.Date"),
    "jsonb": ("Json", None),
    "json": ("Json", "@db.Json"),
    "bytea": ("Bytes", None),
    "inet": ("String", "@db.Inet"),
    "xml": ("String", "@db.Xml"),
    "citext": ("String", "@db.Citext"),
    "timestamp(3) without time zone": ("DateTime", None),
}
_SIZED: Final = (
    (re.compile(r"character varying(?:\((\d+)\))?"), "String", "VarChar"),
    (re.compile(r"character(?:\((\d+)\))?"), "String", "Char"),
    (re.compile(r"numeric(?:\((\d+,\d+)\))?"), "Decimal", "Decimal"),
    (re.compile(r"timestamp(?:\((\d)\))? without time zone"), "DateTime", "Timestamp"),
    (re.compile(r"timestamp(?:\((\d)\))? with time zone"), "DateTime", "Timestamptz"),
    (re.compile(r"time(?:\((\d)\))? without time zone"), "DateTime", "Time"),
    (re.compile(r"time(?:\((\d)\))? with time zone"), "DateTime", "Timetz"),
)
_TEXT_DEFAULT: Final = re.compile(r"'((?:[^']|'')*)'::(?:text|character varying)")


def models(targets: Mapping[str, Target]) -> str:
    """Write one model per entity that keeps its UUIDs in its table."""
    several = len({target.table.name.schema for target in targets.values()} | {"public"}) > 1
    return "\n".join(
        _model(target, with_schema=several)
        for target in targets.values()
        if target.entity.uuid.storage == "column"
    )


def _model(target: Target, *, with_schema: bool) -> str:
    table, uuid = target.table, uuid_field(target)
    names: dict[str, str] = {}
    lines: list[tuple[str, ...]] = []
    for column in [*table.columns.values(), *_added(target)]:
        name, mapping = field_name(column.name, set(names.values()), camel=False)
        names[column.name] = name
        if column.name == uuid.column:
            lines.append((name, "String", *uuid.attributes, *([mapping] if mapping else [])))
            continue
        lines.append((name, *_field(column, table, mapping)))
    text = "".join(f"  {' '.join(line)}\n" for line in _ordered(lines, names[uuid.column], table, names))
    below = []
    if len(table.primary_key) > 1:
        below.append(f"@@id([{', '.join(names[name] for name in table.primary_key)}])")
    attribute = model_attribute(uuid, names)
    if attribute is not None:
        below.append(attribute)
    name = re.sub(r"\W", "_", target.entity.name)
    if table.name.name != name:
        below.append(f"@@map({quoted(table.name.name)})")
    if with_schema:
        below.append(f"@@schema({quoted(table.name.schema)})")
    return (
        f"model {name} {{\n{text}"
        + "".join(f"\n  {line}" for line in below)
        + ("\n" if below else "")
        + "}\n"
    )


def _added(target: Target) -> list[Column]:
    uuid = target.entity.uuid.column
    return [Column(name, type_, not_null=name == uuid) for name, type_ in target.new_columns.items()]


def _ordered(
    lines: list[tuple[str, ...]], uuid: str, table: Table, names: dict[str, str]
) -> list[tuple[str, ...]]:
    """The UUID stands behind the primary key, as in a schema written by hand."""
    ours = next(line for line in lines if line[0] == uuid)
    others = [line for line in lines if line is not ours]
    keys = {names[name] for name in table.primary_key}
    behind = max((position + 1 for position, line in enumerate(others) if line[0] in keys), default=0)
    return [*others[:behind], ours, *others[behind:]]


def _field(column: Column, table: Table, mapping: str | None) -> list[str]:
    base = column.type.removesuffix("[]")
    is_list = base != column.type
    type_name, native = _type(base)
    is_key = table.primary_key == (column.name,)
    optional = "" if column.not_null else "?"
    parts = [type_name + ("[]" if is_list else optional)]
    unsupported = type_name.startswith("Unsupported")
    if is_key and not unsupported:
        parts.append("@id" + _map_of(table, column, f"{table.name.name}_pkey", primary=True))
    elif not unsupported and any(i.covers_exactly([column.name]) for i in table.indexes):
        parts.append(
            "@unique" + _map_of(table, column, f"{table.name.name}_{column.name}_key", primary=False)
        )
    default = None if is_list else _default(column, type_name)
    parts += [part for part in (default, native, mapping) if part]
    return parts


def _map_of(table: Table, column: Column, usual: str, *, primary: bool) -> str:
    serving = (i.name for i in table.indexes if i.primary == primary and i.covers_exactly([column.name]))
    name = next(serving, usual)
    return "" if name == usual else f"(map: {quoted(name)})"


def _type(name: str) -> tuple[str, str | None]:
    if name in _TYPES:
        return _TYPES[name]
    for pattern, type_name, native in _SIZED:
        match = pattern.fullmatch(name)
        if match is not None:
            size = f"({match[1].replace(',', ', ')})" if match[1] else ""
            return type_name, f"@db.{native}{size}"
    return f"Unsupported({quoted(name)})", None


def _default(column: Column, type_name: str) -> str | None:
    value = column.default
    if value is None or type_name.startswith("Unsupported"):
        return "@default(autoincrement())" if column.generated and type_name in ("Int", "BigInt") else None
    if value.startswith("nextval("):
        return "@default(autoincrement())"
    if type_name == "DateTime" and value in ("CURRENT_TIMESTAMP", "now()"):
        return "@default(now())"
    text = _TEXT_DEFAULT.fullmatch(value)
    if type_name == "String" and text is not None:
        return f"@default({quoted(text[1].replace(chr(39) * 2, chr(39)))})"
    if (type_name in ("Int", "BigInt", "Float", "Decimal") and re.fullmatch(r"-?\d+(\.\d+)?", value)) or (
        type_name == "Boolean" and value in ("true", "false")
    ):
        return f"@default({value})"
    return f"@default(dbgenerated({quoted(value)}))"
