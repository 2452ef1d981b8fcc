"""The registry as frozen, validated models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from dotpeen.errors import ConfigurationError
from dotpeen.registry.settings import (
    ApiSettings,
    DatabaseSettings,
    Integer,
    MigrationSettings,
    Model,
    PluginSettings,
    Site,
)

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_RESERVED_PATHS = {"internal", "v1", "docs", "health", "metrics", "resolve", "by"}
MAX_IDENTIFIER = 63
"""Bytes in a PostgreSQL name (NAMEDATALEN - 1)."""


class TableName(NamedTuple):
    """A table's schema and name, exactly as PostgreSQL has them (case matters)."""

    schema: str
    name: str

    def __str__(self) -> str:
        parts = (self.name,) if self.schema == "public" else tuple(self)
        return ".".join(_quoted(part) if re.search(r'[".]', part) else part for part in parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `table`, `schema.table` or `"odd.schema"."odd.table"`; without a schema: `public`."""
        parts = re.findall(r'"((?:[^"]|"")+)"|([^".]+)', text)
        names = [quoted.replace('""', '"') or plain for quoted, plain in parts]
        rebuilt = ".".join(f'"{quoted}"' if quoted else plain for quoted, plain in parts)
        if rebuilt != text or len(names) not in (1, 2):
            raise ValueError(f'{text!r} is no table name: write table, schema.table or "schema"."table"')
        return cls("public", names[0]) if len(names) == 1 else cls(names[0], names[1])


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _postgres_name(value: str) -> str:
    if "\0" in value:
        raise ValueError("a name can't contain the character NUL")
    if not 0 < len(value.encode()) <= MAX_IDENTIFIER:
        raise ValueError(f"a name has 1 to {MAX_IDENTIFIER} bytes in PostgreSQL, not {len(value.encode())}")
    return value


def _columns(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_postgres_name)]
Columns = Annotated[tuple[Name, ...], BeforeValidator(_columns)]


class UuidColumn(Model):
    """Where an entity's UUID lives and how new ones are made."""

    column: Name = "persistentUuid"
    type: Literal["uuid", "text"] = "uuid"
    version: Literal[4, 5, 7] = 4
    storage: Literal["column", "sidecar"] = "column"
    """`sidecar`: in `dotpeen.identity`, for tables whose columns may not be changed."""


class Relation(Model):
    """A link to another registered entity, where the foreign keys don't tell."""

    entity: str
    columns: Columns
    references: Columns = ()
    """Columns of the other entity; without: its primary key."""


class Entity(Model):
    """One kind of record: a table and its identifiers."""

    name: str
    phase: Integer = Field(default=1, ge=1)
    table: TableName
    primary_key: Columns = ("id",)
    business_id: Columns = ()
    uuid: UuidColumn = UuidColumn()
    path: str
    expose: tuple[Name, ...] = ()
    filters: tuple[Name, ...] = ()
    writable: tuple[Name, ...] = ()
    """Columns that partners with the scope `write` may change."""
    updated_at: Name | None = None
    """A column that is set to the time of every change made through Dotpeen."""
    relations: Mapping[str, Relation] = {}

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if isinstance(data, dict):
            name = str(data.get("name", ""))
            data = {"table": name, "path": default_path(name)} | data
        return data

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", value) is None:
            raise ValueError("an entity's name is a letter, then up to 39 letters, digits or underscores")
        return value

    @field_validator("table", mode="before")
    @classmethod
    def _table(cls, value: object) -> object:
        if isinstance(value, str):
            value = TableName.parse(value)
        if not isinstance(value, TableName):
            raise ValueError('write a table as text, such as "schema.table"')
        for part in value:
            _postgres_name(part)
        return value

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) is None:
            raise ValueError(f"{value!r} is no path: lower case letters, digits and single hyphens")
        if value in _RESERVED_PATHS:
            raise ValueError(f"{value!r} is a path of Dotpeen itself: choose another")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.primary_key:
            raise ValueError("primary_key names no column")
        for label, columns in (("primary_key", self.primary_key), ("business_id", self.business_id)):
            if len(set(columns)) != len(columns):
                raise ValueError(f"{label} names a column twice")
        if self.uuid.storage == "column" and self.uuid.column in self.primary_key:
            raise ValueError(
                f"uuid.column {self.uuid.column!r} is the primary key: the UUID gets a column of its own"
            )
        if self.updated_at is not None and self.updated_at in (*self.primary_key, *self.business_id):
            raise ValueError(f"updated_at {self.updated_at!r} identifies the record: name another column")
        if self.uuid.version == 5 and not self.business_id:
            raise ValueError(
                "uuid.version 5 derives the UUID from the business identifier: declare business_id"
            )
        if self.uuid.storage == "sidecar" and self.uuid.type == "text":
            raise ValueError('uuid.type "text" is for columns: a sidecar stores the native type')
        return self


@dataclass(frozen=True)
class Source:
    """The file that a registry was read from; registries that say the same are equal wherever they stand."""

    file: str = field(compare=False)
    lines: tuple[str, ...] = field(default=(), compare=False, repr=False)


class Registry(Model):
    """Everything a site declares."""

    site: Site = Site()
    database: DatabaseSettings = DatabaseSettings()
    migration: MigrationSettings = MigrationSettings()
    api: ApiSettings = ApiSettings()
    plugins: Mapping[str, PluginSettings] = {}
    entities: Mapping[str, Entity] = {}
    _source: Source = PrivateAttr(default=Source("registry.toml"))

    @property
    def file(self) -> str:
        """The file it was read from, for messages."""
        return self._source.file

    def select(self, *, phase: int | None = None, names: tuple[str, ...] = ()) -> tuple[Entity, ...]:
        """Return the entities asked for, by phase and then in the order of the file.

        Raises `ConfigurationError` for a name that is not registered and for an empty selection.
        """
        unknown = [name for name in names if name not in self.entities]
        if unknown:
            known = ", ".join(self.entities) or "none"
            raise ConfigurationError(
                f"{self.file}: no entity {unknown[0]!r}", hint=f"registered entities: {known}"
            )
        chosen = [
            entity
            for entity in self.entities.values()
            if (phase is None or entity.phase == phase) and (not names or entity.name in names)
        ]
        if not chosen:
            phases = ", ".join(str(p) for p in sorted({e.phase for e in self.entities.values()})) or "none"
            raise ConfigurationError(
                f"{self.file}: no entity to work on", hint=f"phases with entities: {phases}"
            )
        return tuple(sorted(chosen, key=lambda entity: entity.phase))


def default_path(name: str) -> str:
    """Return the kebab-case plural of an entity's name: `QIFMeasurementPlan` → `qif-measurement-plans`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return name
    last = words[-1]
    if re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last += "es"
    else:
        last += "s"
    return "-".join([*words[:-1], last])
