"""Read the catalog: tables, keys, indexes, foreign keys, triggers, partitions, sizes and privileges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

from psycopg.rows import dict_row

from dotpeen.database.connect import Connection
from dotpeen.registry.models import TableName


@dataclass(frozen=True)
class Column:
    """One column; `type` as `format_type` writes it, `default` as an SQL expression."""

    name: str
    type: str
    not_null: bool
    default: str | None = None
    generated: bool = False
    """An identity or generated column."""


@dataclass(frozen=True)
class Index:
    """One index; `columns` holds None for an expression."""

    name: str
    columns: tuple[str | None, ...]
    unique: bool
    primary: bool
    valid: bool
    partial: bool
    bytes: int
    constraint: str | None = None
    """The unique or primary key constraint that it serves."""
    immediate: bool = True
    """Uniqueness is checked at once; False for a DEFERRABLE constraint."""

    def covers_exactly(self, columns: Iterable[str]) -> bool:
        """Tell whether it is unique, valid and total over exactly these columns, in any order."""
        wanted = set(columns)
        return (
            self.unique
            and self.valid
            and not self.partial
            and len(self.columns) == len(wanted)
            and set(self.columns) == wanted
        )


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key of a table."""

    name: str
    columns: tuple[str, ...]
    references: TableName
    referenced_columns: tuple[str, ...]
    validated: bool


@dataclass(frozen=True)
class Constraint:
    """A CHECK (`c`), NOT NULL (`n`, PostgreSQL 18) or UNIQUE (`u`) constraint."""

    name: str
    kind: str
    columns: tuple[str, ...]
    validated: bool
    definition: str


@dataclass(frozen=True)
class Trigger:
    """One trigger; `enabled` is `pg_trigger.tgenabled` (`O`, `D`, `R` or `A`)."""

    name: str
    enabled: str
    definition: str
    function: str
    on_update_row: bool
    """Fires for each updated row, whichever column changed."""
    on_update: bool = False
    """Fires on some update."""


@dataclass(frozen=True)
class Partition:
    """A table below a partitioned one; `leaf` ones hold rows."""

    name: TableName
    parent: TableName
    leaf: bool
    foreign: bool


@dataclass(frozen=True)
class Table:
    """One table as it is now."""

    name: TableName
    oid: int
    kind: Literal["table", "partitioned", "foreign", "view", "other"]
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    partitions: tuple[Partition, ...] = ()
    partition_key: tuple[str | None, ...] = ()
    """Columns of the partition key, None for an expression."""
    estimated_rows: int = 0
    heap_bytes: int = 0
    total_bytes: int = 0
    owner: str = ""
    owned: bool = True
    """The current role owns it, directly or by membership: it may be altered."""
    may_select: bool = True
    may_update: bool = True
    may_trigger: bool = True
    row_security: bool = False
    """Row level security applies to the current role."""
    persistence: str = "p"
    inherits: bool = False
    is_partition: bool = False
    """It is a partition of another table itself."""

    @property
    def leaves(self) -> tuple[TableName, ...]:
        """The tables that hold the rows: the leaf partitions, or the table itself."""
        if self.kind != "partitioned":
            return (self.name,)
        return tuple(partition.name for partition in self.partitions if partition.leaf)

    def is_key(self, columns: Iterable[str]) -> bool:
        """Tell whether these columns identify a row: a unique total index over them, none nullable."""
        wanted = tuple(columns)
        return all(name in self.columns and self.columns[name].not_null for name in wanted) and any(
            index.covers_exactly(wanted) for index in self.indexes
        )


@dataclass(frozen=True)
class Catalog:
    """What a database holds, read at one moment."""

    server_version: int
    """`server_version_num`, such as 180004."""
    database: str
    role: str
    superuser: bool
    may_create_schema: bool
    tables: Mapping[TableName, Table] = field(default_factory=dict)

    def table(self, name: TableName) -> Table | None:
        """Return the table, or None when there is none of that name."""
        return self.tables.get(name)


def read_catalog(connection: Connection, names: Iterable[TableName] | None = None) -> Catalog:
    """Read the given tables, or all of the database that are not the system's or Dotpeen's own.

    Takes no lock beyond ACCESS SHARE on the catalog. A name without a table is left out.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        server = cursor.execute(_query("server")).fetchone()
        assert server is not None  # noqa: S101 - a SELECT without FROM has one row
        wanted = None if names is None else [[name.schema, name.name] for name in names]
        parameters = {
            "all": wanted is None,
            "schemas": [pair[0] for pair in wanted or []],
            "names": [pair[1] for pair in wanted or []],
        }
        rows = cursor.execute(_query("tables"), parameters).fetchall()
        oids = [row["oid"] for row in rows]
        parts: dict[str, dict[int, list[Any]]] = {}
        for part, build in _BUILDERS.items():
            parts[part] = defaultdict(list)
            for row in cursor.execute(_query(part), {"oids": oids}).fetchall():
                parts[part][row.pop("table_oid")].append(build(row))
    tables = {}
    for row in rows:
        name = TableName(row.pop("schema"), row.pop("name"))
        oid = row["oid"]
        indexes = tuple(parts["indexes"][oid])
        primary = next((index.columns for index in indexes if index.primary), ())
        tables[name] = Table(
            name=name,
            columns={column.name: column for column in parts["columns"][oid]},
            primary_key=tuple(column for column in primary if column is not None),
            indexes=indexes,
            foreign_keys=tuple(parts["foreign_keys"][oid]),
            constraints=tuple(parts["constraints"][oid]),
            triggers=tuple(parts["triggers"][oid]),
            partitions=tuple(parts["partitions"][oid]),
            **(row | {"partition_key": tuple(row["partition_key"] or ())}),
        )
    return Catalog(tables=tables, **server)


def _foreign_key(row: dict[str, Any]) -> ForeignKey:
    references = TableName(row.pop("references_schema"), row.pop("references_name"))
    return ForeignKey(
        references=references,
        columns=tuple(row.pop("columns")),
        referenced_columns=tuple(row.pop("referenced_columns")),
        **row,
    )


def _partition(row: dict[str, Any]) -> Partition:
    return Partition(
        name=TableName(row["schema"], row["name"]),
        parent=TableName(row["parent_schema"], row["parent_name"]),
        leaf=row["leaf"],
        foreign=row["foreign"],
    )


_BUILDERS: dict[str, Any] = {
    "columns": lambda row: Column(**row),
    "indexes": lambda row: Index(**(row | {"columns": tuple(row["columns"])})),
    "foreign_keys": _foreign_key,
    "constraints": lambda row: Constraint(**(row | {"columns": tuple(row["columns"] or ())})),
    "triggers": lambda row: Trigger(**row),
    "partitions": _partition,
}


def _query(name: str) -> Any:
    return _QUERIES[name]


def _read_queries() -> dict[str, bytes]:
    text = files("dotpeen.database").joinpath("catalog.sql").read_text(encoding="utf-8")
    queries = {}
    for block in text.split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        queries[name.strip()] = body.strip().rstrip(";").encode()
    return queries


_QUERIES = _read_queries()
