"""What a record is made of: fields, links to other entities, the place of its UUID, and its identifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias

from psycopg.rows import dict_row

from dotpeen.database import Connection, Table
from dotpeen.registry import Entity, TableName

Audience: TypeAlias = Literal["external", "internal"]
"""Who asks: a partner, who sees what the registry exposes, or the site's own applications."""
Kind: TypeAlias = Literal[
    "text",
    "integer",
    "numeric",
    "float",
    "boolean",
    "uuid",
    "timestamp",
    "timestamptz",
    "date",
    "json",
    "bytea",
    "enum",
    "array",
    "other",
]
"""How the values of a column travel; see `wire`."""
ORDERED: Final[frozenset[Kind]] = frozenset(
    {"text", "integer", "numeric", "float", "uuid", "timestamp", "timestamptz", "date", "enum", "boolean"}
)
"""Kinds that lists can be sorted and narrowed to a range by."""

_KINDS: Final[dict[str, Kind]] = {
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "citext": "text",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "numeric": "numeric",
    "float4": "float",
    "float8": "float",
    "bool": "boolean",
    "uuid": "uuid",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "date": "date",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytea",
    "enum": "enum",
    "array": "array",
}
_BYTES: Final = {"int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8}
_QUERY: Final = files("dotpeen.records").joinpath("fields.sql").read_text(encoding="utf-8").encode()


@dataclass(frozen=True)
class Beside:
    """The values of an external reference in `dotpeen.external_value`, for a table that may not be altered."""

    entity: str
    reference: str
    key: tuple[Field, ...]
    """The primary key, which they are joined by."""


@dataclass(frozen=True)
class Field:
    """One column of an entity's table."""

    name: str
    """What it is called in records: the column's name, or an external reference's."""
    column: str
    type: str
    """As PostgreSQL writes it."""
    kind: Kind
    nullable: bool = True
    primary: bool = False
    writable: bool = False
    """The registry lets partners change it."""
    generated: bool = False
    """The database computes it: an identity or generated column."""
    default: bool = False
    """The database has a value for it when none is given."""
    element: Kind | None = None
    """The kind of an array's elements."""
    labels: tuple[str, ...] = ()
    """The values of an enum."""
    bytes: int = 8
    """Size of an integer or floating point number."""
    length: int | None = None
    """The most characters of a text."""
    scale: int | None = None
    """Digits after the point of a numeric, where the column limits them."""
    collation: tuple[str, str] | None = None
    """Schema and name, unless it is the database's default."""
    operators: str | None = None
    """The schema of its type's own operators (citext), where that isn't pg_catalog."""
    beside: Beside | None = None
    """Where its values are when the table has no such column."""

    @property
    def ordered(self) -> bool:
        """Whether lists can be sorted by it."""
        return self.kind in ORDERED


@dataclass(frozen=True)
class UuidPlace:
    """Where the UUIDs of an entity are: a column of its table, or a partition of `dotpeen.identity`."""

    name: str
    """What the UUID is called in records."""
    entity: str
    table: TableName
    key: tuple[Field, ...]
    """The primary key, which a sidecar is joined by."""
    text: bool = False
    """The column is of type text."""
    sidecar: TableName | None = None


@dataclass(frozen=True)
class Link:
    """A foreign key to a registered entity, or what the registry declares as one."""

    name: str
    """What the other record is called: `part` for `partId`."""
    external_name: str
    """What its UUID is called: `partUuid`."""
    entity: str
    columns: tuple[Field, ...]
    references: tuple[str, ...]
    """The columns of the other table, unique together."""
    place: UuidPlace
    ready: bool = True
    """The other entity has UUIDs."""

    @property
    def nullable(self) -> bool:
        """Whether a record may be without."""
        return any(field.nullable for field in self.columns)

    @property
    def writable(self) -> bool:
        """Whether the registry lets partners change it."""
        return all(field.writable for field in self.columns)


@dataclass(frozen=True)
class Incoming:
    """A link of another entity to this one, seen from here."""

    name: str
    """What the other records are called: `serializedParts`."""
    entity: str
    link: Link


Member: TypeAlias = Field | Link | UuidPlace
"""What stands under one name in a record."""


@dataclass(frozen=True)
class Identifier:
    """What a record answers to: its UUID, primary key, business identifier or another system's name for it."""

    name: str
    """The names of its parts, joined by `:`."""
    parts: tuple[Member, ...]
    kind: Literal["uuid", "primary", "business", "external"]
    source: str = ""
    """The plugin that an external reference comes from."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its parts, as they stand in records."""
        return tuple(member_name(part) for part in self.parts)

    @property
    def type(self) -> str:
        """The type of a simple one; `composite` for one of several parts."""
        if len(self.parts) > 1:
            return "composite"
        part = self.parts[0]
        return part.type if isinstance(part, Field) else "uuid"


def member_name(member: Member) -> str:
    """What it is called in a record."""
    return member.external_name if isinstance(member, Link) else member.name


def read_fields(
    connection: Connection, tables: Iterable[tuple[Entity, Table]]
) -> dict[str, dict[str, Field]]:
    """Return the fields of each entity by column, in the order of the table."""
    by_oid = {table.oid: (entity, table) for entity, table in tables}
    found: dict[str, dict[str, Field]] = {entity.name: {} for entity, _ in by_oid.values()}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_QUERY, {"oids": list(by_oid)}).fetchall():
            entity, table = by_oid[row["oid"]]
            if row["column"] in table.columns:
                found[entity.name][row["column"]] = _field(entity, table, row)
    return found


def _field(entity: Entity, table: Table, row: Mapping[str, Any]) -> Field:
    name: str = row["column"]
    column = table.columns[name]
    type_name, modifier = row["type"], row["modifier"] - 4
    primary = name in entity.primary_key
    is_uuid = entity.uuid.storage == "column" and name == entity.uuid.column
    return Field(
        name=name,
        column=name,
        type=column.type,
        kind=_KINDS.get(type_name, "other"),
        nullable=not column.not_null,
        primary=primary,
        writable=name in entity.writable and not (primary or is_uuid or column.generated),
        generated=column.generated,
        default=column.default is not None or column.generated,
        element=_KINDS.get(row["element"], "other") if row["element"] else None,
        labels=tuple(row["labels"] or ()),
        bytes=_BYTES.get(type_name, 8),
        length=modifier if modifier > 0 and type_name in ("varchar", "bpchar") else None,
        # An 11 bit number with sign (numerictypmodin).
        scale=((modifier & 0x7FF) ^ 1024) - 1024 if modifier >= 0 and type_name == "numeric" else None,
        collation=tuple(row["collation"]) if row["collation"] else None,
        operators=row["operators"],
    )
