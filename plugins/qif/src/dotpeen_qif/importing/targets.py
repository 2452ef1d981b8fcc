"""The records of the MES that documents speak of, as an import finds and makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.database.keys import key_expression
from dotpeen.errors import ConfigurationError
from dotpeen.records import Field, Link, Shape
from dotpeen_qif.mapping import Mapped, Source

Role: TypeAlias = Literal["part", "order", "serial", "plan", "characteristic", "result"]
"""What a record is to a document: a section of the settings."""
ROLES: Final[tuple[Role, ...]] = ("part", "order", "serial", "plan", "characteristic", "result")
"""Each after those that it refers to."""
COMMA: Final = sql.SQL(", ")
AND: Final = sql.SQL(" AND ")
_LENGTH: Final = re.compile(r"(character varying|character)\((\d+)\)")


@dataclass(frozen=True)
class Target:
    """The records of one role."""

    role: Role
    source: Source
    defaults: Mapping[str, str]
    """Columns to what the database has for them where nothing is given, as SQL."""

    @property
    def shape(self) -> Shape:
        """What they look like in the database."""
        return self.source.shape

    @property
    def columns(self) -> Mapping[str, Field]:
        """What documents call a column to the column."""
        return self.source.columns

    @property
    def links(self) -> Mapping[str, Link]:
        """The roles they refer to."""
        return self.source.links

    @property
    def entity(self) -> str:
        """Their name in the registry."""
        return self.shape.entity.name

    @property
    def staged(self) -> sql.Identifier:
        """The temporary table."""
        return sql.Identifier("pg_temp", f"qif_{self.role}")

    @property
    def table(self) -> sql.Identifier:
        """The table of the MES."""
        return sql.Identifier(*self.shape.table)

    @property
    def sidecar(self) -> sql.Identifier | None:
        """Where the UUIDs are, if they aren't in the table."""
        place = self.shape.place
        return None if place.sidecar is None else sql.Identifier(*place.sidecar)

    def rows(self, alias: str = "t") -> sql.Composed:
        """The table, with its UUIDs."""
        return self.source.rows(alias)

    def uuid(self, alias: str = "t") -> sql.Composable:
        """The UUID of a row."""
        return self.source.uuid(alias)

    def has_uuid(self, value: sql.Composable, alias: str = "t") -> sql.Composable:
        """The row has this UUID."""
        return self.source.has_uuid(alias, value)

    def column(self, name: str, alias: str = "t") -> sql.Identifier:
        """A column by what documents call it."""
        return sql.Identifier(alias, self.columns[name].column)

    def key_text(self, alias: str) -> sql.Composed:
        """The primary key of a row, as sidecars have it."""
        key = self.shape.key
        return key_expression(alias, [part.column for part in key], {part.column: part.type for part in key})

    @property
    def makes_key(self) -> bool:
        """New records get their primary key from Dotpeen, as `Records.create` makes it."""
        key = self.shape.key
        return len(key) == 1 and key[0].kind in ("text", "uuid") and not key[0].default

    def require_writable(self) -> None:
        """Raise `NotMigratedError` or `ConfigurationError` where records can't be imported."""
        self.shape.require_ready()
        if not self.makes_key and (self.sidecar is not None or not all(p.default for p in self.shape.key)):
            raise ConfigurationError(
                f"{self.entity}: nothing makes the primary key of new records",
                hint="QIF import makes keys of one text column; others have to have a default in the database",
            )

    def required(self) -> Sequence[Field]:
        """The columns that a new record has to have a value for, but key and UUID."""
        return [
            field
            for field in self.shape.fields.values()
            if not (field.nullable or field.default or field.generated or field.primary)
            and (self.sidecar is not None or field.column != self.shape.place.name)
        ]


Targets: TypeAlias = Mapping[Role, Target]


def targets(connection: Connection, mapped: Mapped) -> Targets:
    """Return the records of each role that the site has. Raises where one of them can't be imported to."""
    found: dict[Role, Target] = {}
    for role in ROLES:
        if role in mapped:
            found[role] = Target(role, mapped[role], _defaults(connection, mapped[role].shape))
            found[role].require_writable()
    for role in ("part", "plan", "characteristic", "serial", "result"):
        if role not in found:
            raise ConfigurationError(
                f"QIF import needs the entity of plugins.qif.{role}",
                hint="register it, or name another one there",
            )
    return found


def _defaults(connection: Connection, shape: Shape) -> dict[str, str]:
    rows = connection.execute(
        "SELECT a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef AS d"
        " JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum"
        " WHERE d.adrelid = %s::pg_catalog.regclass AND a.attgenerated = ''",
        [sql.Identifier(*shape.table).as_string()],
    )
    return dict(rows.fetchall())


def typed(field: Field, value: sql.Composable) -> sql.Composable:
    """A value in a column's type; `format_type` wrote the type, with its schema where it needs one.

    A cast cuts a text that is too long, where an assignment raises: texts are cast without the length. Blanks at the
    end that have no room are nothing to either, and so they are here: a value is compared as the column will hold it.
    """
    limited = _LENGTH.fullmatch(field.type)
    if limited is None:
        return sql.SQL("({})::{}").format(value, sql.SQL(field.type))
    kind, length = limited.groups()
    bare = sql.SQL("pg_catalog.rtrim(({})::text, ' ')").format(value)
    if kind == "character":
        return bare
    return sql.SQL(
        "(CASE WHEN pg_catalog.length(({value})::text) > {length} AND pg_catalog.length({bare}) <= {length}"
        " THEN pg_catalog.left(({value})::text, {length}) ELSE ({value})::text END)::varchar"
    ).format(value=value, bare=bare, length=sql.SQL(length))
