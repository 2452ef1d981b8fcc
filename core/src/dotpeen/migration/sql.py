"""SQL of one entity: its names, its key as text, and how it makes a UUID. Composed and quoted, never formatted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from psycopg import sql

from dotpeen.database.keys import column_text, key_expression
from dotpeen.migration.model import Target
from dotpeen.registry import TableName

FILL_TRIGGER: Final = "zz_dotpeen_fill"
GUARD_TRIGGER: Final = "zz_dotpeen_guard"
AFTER_GUARD_TRIGGER: Final = "zz_dotpeen_guard_after"
CAPTURE_TRIGGER: Final = "zz_dotpeen_capture"
EMPTIED_TRIGGER: Final = "zz_dotpeen_emptied"
CARRY_TRIGGER: Final = "zz_dotpeen_carry"
KEEP_TRIGGER: Final = "zz_dotpeen_keep"
FOLLOW_TRIGGER: Final = "zz_dotpeen_follow"
"""Triggers of one kind fire in alphabetical order: `zz_` sees what the application's own triggers made of a row."""
SIDECAR_TRIGGERS: Final = (
    "zz_dotpeen_issue",
    "zz_dotpeen_rekey",
    "zz_dotpeen_retire",
    "zz_dotpeen_truncate",
)
SCHEMA: Final = "dotpeen"
DEFINER: Final = sql.SQL(
    "SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'"
    " SET intervalstyle = 'postgres' SET extra_float_digits = 1"
)
"""For functions that write keys as text: the plant's roles have no rights in schema `dotpeen`, and the text of a
key must not depend on the session it was written in (see `dotpeen.database.connect`). `pg_temp` is named last: unnamed
it would be searched first, and a temporary type could run its owner's code with our rights."""
_LONGEST_NAME: Final = 63


def render(*parts: sql.Composable) -> tuple[str, ...]:
    """Turn composed statements into text."""
    return tuple(part.as_string() for part in parts)


def literal(value: str) -> sql.Literal:
    """Quote a text as an SQL literal."""
    return sql.Literal(value)


def table_identifier(name: TableName) -> sql.Identifier:
    """Quote a table's qualified name."""
    return sql.Identifier(name.schema, name.name)


def shortened(name: str) -> str:
    """Cut a name to PostgreSQL's 63 bytes, never in the middle of a character."""
    return name.encode()[:63].decode(errors="ignore")


@dataclass(frozen=True)
class EntitySql:
    """Builds the expressions that name and fill an entity's UUID."""

    target: Target

    @property
    def table(self) -> sql.Identifier:
        """The entity's table."""
        return table_identifier(self.target.table.name)

    @property
    def column(self) -> sql.Identifier:
        """The UUID column."""
        return sql.Identifier(self.target.entity.uuid.column)

    @property
    def sidecar(self) -> sql.Identifier:
        """The entity's partition of `dotpeen.identity`."""
        return sql.Identifier(SCHEMA, self.sidecar_name)

    @property
    def sidecar_name(self) -> str:
        """Its name."""
        return f"identity_{self.target.entity.name}"

    def function_name(self, purpose: str) -> str:
        """Name of the entity's trigger function in schema `dotpeen`."""
        return f"{purpose}_{self.target.entity.name}"

    def has_function(self, purpose: str, definition: sql.Composable) -> bool:
        """Tell whether the trigger function is there and does what the registry now says."""
        body = self.target.functions.get(self.function_name(purpose))
        return body is not None and body in definition.as_string()

    def closed(self, purpose: str) -> sql.Composed:
        """Keep a function with our rights from everybody else's triggers."""
        return sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(self.function(purpose))

    def function(self, purpose: str) -> sql.Identifier:
        """The entity's trigger function."""
        return sql.Identifier(SCHEMA, self.function_name(purpose))

    @property
    def guards(self) -> tuple[str, ...]:
        """The guard triggers; the last one fires after the update, whatever other triggers are called.

        A row that an update moves to another partition fires no AFTER UPDATE trigger: there a BEFORE one looks too.
        """
        if self.target.table.kind == "partitioned" and self.target.entity.uuid.storage == "column":
            return (GUARD_TRIGGER, AFTER_GUARD_TRIGGER)
        return (GUARD_TRIGGER,)

    @property
    def index_name(self) -> str:
        """`<table>_<column>_key`, the name PostgreSQL and Prisma both give a unique constraint."""
        return self.index_name_for(self.target.table.name.name)

    def index_name_for(self, table: str, column: str | None = None) -> str:
        """The name of a column's unique index on a table or partition, shortened as PostgreSQL would.

        Without a column: that of the UUID.
        """
        return shorten_pair(table, column or self.target.entity.uuid.column, "key")

    @property
    def not_null_name(self) -> str:
        """Name of the temporary CHECK (before PostgreSQL 18) or of the NOT NULL constraint."""
        return shorten_pair(self.target.table.name.name, self.target.entity.uuid.column, "not_null")

    @property
    def format_name(self) -> str:
        """Name of the CHECK that keeps a text column to the canonical form."""
        return shorten_pair(self.target.table.name.name, self.target.entity.uuid.column, "uuid")

    def key(self, alias: str) -> sql.Composed:
        """The primary key as one text, the same on every server: what ledgers and sidecars are keyed by."""
        return key_expression(alias, self.target.entity.primary_key, self._types())

    def fresh(self, alias: str) -> sql.Composable:
        """An expression for a new UUID of type `uuid`; `alias` names the row that version 5 derives it from."""
        version = self.target.entity.uuid.version
        if version == 4:
            return sql.SQL("pg_catalog.gen_random_uuid()")
        if version == 7:
            native = self.target.server_version >= 180000
            return sql.SQL("pg_catalog.uuidv7()" if native else "dotpeen.uuid_v7()")
        return sql.SQL("dotpeen.uuid_v5({namespace}::uuid, {name})").format(
            namespace=literal(str(entity_namespace(self.target))),
            name=business_name(alias, self.target.entity.business_id, self._types()),
        )

    def typed(self, expression: sql.Composable) -> sql.Composable:
        """The expression in the column's type."""
        if self.target.entity.uuid.type == "text":
            return sql.SQL("({})::text").format(expression)
        return expression

    @property
    def default(self) -> sql.Composable | None:
        """The column's default for new rows.

        None where the fill trigger does it alone: version 5 needs the row, and a default on a text
        column is what Prisma takes for drift (`String @default(uuid())` makes no database default).
        """
        uuid = self.target.entity.uuid
        if uuid.type == "text" or uuid.version == 5:
            return None
        return self.fresh("")

    def _types(self) -> dict[str, str]:
        return {name: column.type for name, column in self.target.table.columns.items()}


def entity_namespace(target: Target) -> object:
    """The version 5 namespace of an entity: uuid5(site namespace, entity name)."""
    from uuid import uuid5

    if target.namespace is None:
        raise ValueError("version 5 without a namespace: the registry does not allow it")
    return uuid5(target.namespace, target.entity.name)


def business_name(alias: str, columns: Sequence[str], types: dict[str, str]) -> sql.Composable:
    """The business identifier as one text; parts of a composite one are joined by `:`, `%` and `:` escaped."""
    texts = [column_text(sql.Identifier(alias, name), types.get(name, "text")) for name in columns]
    if len(texts) == 1:
        return texts[0]
    escaped = [
        sql.SQL("pg_catalog.replace(pg_catalog.replace({}, {}, {}), ':', {})").format(
            text, *(sql.Literal(escape) for escape in ("%", "%25", "%3A"))
        )
        for text in texts
    ]
    return sql.SQL("({})").format(sql.SQL(" || ':' || ").join(escaped))


def shorten_pair(table: str, column: str, suffix: str) -> str:
    """Join the parts of an index or constraint name within 63 bytes.

    What is cut is replaced by a digest of the whole: index names are unique in a schema, and partitions and
    tables often differ in their last letters only.
    """
    whole = f"{table}_{column}_{suffix}"
    if len(whole.encode()) <= _LONGEST_NAME:
        return whole
    ending = f"{sha256(whole.encode()).hexdigest()[:8]}_{suffix}"
    room = _LONGEST_NAME - len(ending) - 2
    first, second = table.encode(), column.encode()
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return f"{first.decode(errors='ignore')}_{second.decode(errors='ignore')}_{ending}"
