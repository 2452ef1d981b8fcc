"""Where the records of documents are in this database: the settings, the registry and the catalog put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.database.keys import column_text, key_expression
from dotpeen.errors import ConfigurationError
from dotpeen.hooks import Audience
from dotpeen.records import Field, Link, Shape, Shapes, load_shapes
from dotpeen.registry import Registry
from dotpeen_qif.settings import Section, Settings

NEEDED: Final = ("part", "plan", "characteristic")
"""Sections without which there is nothing to export."""
AND: Final = sql.SQL(" AND ")
COMMA: Final = sql.SQL(", ")


@dataclass(frozen=True)
class Source:
    """The records of one section, with the columns that an audience may see."""

    shape: Shape
    settings: tuple[str, ...]
    """The settings that can name a column."""
    columns: Mapping[str, Field]
    """By the setting that names them."""
    attributes: tuple[Field, ...]
    links: Mapping[str, Link]
    """By the section of the records that they lead to."""
    for_partners: bool = False
    """Columns, attributes and links are those that the registry exposes."""

    @property
    def has_uuids(self) -> bool:
        """Whether the records are migrated."""
        return self.shape.ready is None

    def rows(self, alias: str) -> sql.Composed:
        """The table under an alias, to select from; joined with its UUIDs where they are in a sidecar."""
        place = self.shape.place
        table = sql.SQL("{} AS {}").format(name(*self.shape.table), sql.Identifier(alias))
        if place.sidecar is None or not self.has_uuids:
            return sql.Composed([table])
        identity = f"{alias}_identity"
        key = key_expression(
            alias, [part.column for part in place.key], {part.column: part.type for part in place.key}
        )
        return sql.SQL("({} LEFT JOIN {} AS {} ON {} = {} AND {} = {})").format(
            table,
            sql.Identifier(*place.sidecar),
            sql.Identifier(identity),
            sql.Identifier(identity, "entity"),
            sql.Literal(place.entity),
            sql.Identifier(identity, "key"),
            key,
        )

    def uuid(self, alias: str) -> sql.Composable:
        """The UUID of a row, as type uuid."""
        place = self.shape.place
        if not self.has_uuids:
            return sql.SQL("NULL::uuid")
        if place.sidecar is not None:
            return sql.Identifier(f"{alias}_identity", "uuid")
        column = name(alias, place.name)
        return sql.SQL("{}::uuid").format(column) if place.text else column

    def has_uuid(self, alias: str, value: sql.Composable) -> sql.Composable:
        """The row's UUID is this text, so written that an index is used."""
        if self.shape.place.text and self.shape.place.sidecar is None:
            return sql.SQL("{} = {}::text").format(name(alias, self.shape.place.name), value)
        return sql.SQL("{} = {}::uuid").format(self.uuid(alias), value)

    def uuid_in(self, alias: str) -> sql.Composable:
        """The row's UUID is one of the parameter, an array of texts."""
        if self.shape.place.text and self.shape.place.sidecar is None:
            return sql.SQL("{} = ANY(%s::text[])").format(name(alias, self.shape.place.name))
        return sql.SQL("{} = ANY(%s::uuid[])").format(self.uuid(alias))

    def text(self, setting: str, alias: str) -> sql.Composable:
        """A column's value as text, the same whatever the session's settings; NULL where there is no such column."""
        field = self.columns.get(setting)
        return sql.SQL("NULL::text") if field is None else _text(field, alias)

    def attribute_texts(self, alias: str) -> sql.Composable:
        """The attributes' values, an array of texts."""
        if not self.attributes:
            return sql.SQL("'{}'::text[]")
        return sql.SQL("ARRAY[{}]::text[]").format(COMMA.join(_text(one, alias) for one in self.attributes))

    def linked(self, section: str, alias: str, other: str) -> sql.Composable:
        """The condition that a row is linked to a row of another section."""
        link = self.links[section]
        return AND.join(
            sql.SQL("{} = {}").format(name(alias, field.column), name(other, reference))
            for field, reference in zip(link.columns, link.references, strict=True)
        )


def name(*parts: str) -> sql.Identifier:
    """A name for a statement that has parameters, in which a per cent sign stands for one."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def literal(value: object) -> sql.Composable:
    """A constant for a statement that has parameters."""
    return sql.SQL(sql.Literal(value).as_string().replace("%", "%%"))


Mapped = Mapping[str, Source]
"""Sources by their sections; without those that the registry has no entity for, or the audience may not see."""


def map_site(connection: Connection, registry: Registry, settings: Settings, audience: Audience) -> Mapped:
    """Return where the records of each section are.

    Raises `ConfigurationError` where the settings name entities or columns that there are not, and where partners may
    not see what every document needs.
    """
    shapes = load_shapes(connection, registry)
    mapped: dict[str, Source] = {}
    for key, section in settings.sections().items():
        where = f"{registry.file}: plugins.qif.{key}"
        if section.entity not in registry.entities:
            if key in NEEDED or "entity" in section.model_fields_set:
                known = ", ".join(registry.entities) or "none"
                raise ConfigurationError(
                    f"{where}.entity: no entity {section.entity!r}", hint=f"registered entities: {known}"
                )
            continue
        mapped[key] = _source(shapes, settings, section, where, audience)
    for key in NEEDED:
        _require(mapped[key], settings.sections()[key], f"{registry.file}: plugins.qif.{key}")
    return mapped


def _source(shapes: Shapes, settings: Settings, section: Section, where: str, audience: Audience) -> Source:
    shape = shapes.entity(section.entity)
    links = _links(shapes, settings, section, where)
    visible = _visible(shape, audience)
    columns: dict[str, Field] = {}
    attributes: list[Field] = []
    for name, named in section.columns.items():
        for column in named:
            field = _field(shape, section, name, column, where)
            if field is None or column not in visible:
                continue
            if name == "attributes":
                attributes.append(field)
            else:
                columns[name] = field
    seen = {name: link for name, link in links.items() if name in columns}
    return Source(shape, section.single_columns(), columns, tuple(attributes), seen, audience == "external")


def _field(shape: Shape, section: Section, name: str, column: str, where: str) -> Field | None:
    field = shape.fields.get(column)
    if field is None and (name in section.model_fields_set or name in section.required):
        raise ConfigurationError(
            f"{where}.{name}: {shape.table} has no column {column!r}",
            hint=f"its columns: {', '.join(shape.fields)}",
        )
    return field


def _links(shapes: Shapes, settings: Settings, section: Section, where: str) -> dict[str, Link]:
    links: dict[str, Link] = {}
    shape = shapes.entity(section.entity)
    for name, target in section.links.items():
        column = getattr(section, name)
        other = settings.sections()[target].entity
        if not column or column not in shape.fields:
            continue
        found = [
            link
            for link in shape.links.values()
            if link.entity == other and column in [field.column for field in link.columns]
        ]
        if found:
            links[name] = found[0]
        elif name in section.model_fields_set or name in section.required:
            raise ConfigurationError(
                f"{where}.{name}: {shape.table}.{column} is no reference to {other}",
                hint=f"declare it: [entities.{section.entity}] relations.{name} ="
                f' {{ entity = "{other}", columns = "{column}" }}',
            )
    return links


def _visible(shape: Shape, audience: Audience) -> set[str]:
    if audience == "internal":
        return set(shape.fields)
    columns: set[str] = set()
    for member in shape.members["external"].values():
        if isinstance(member, Field):
            columns.add(member.column)
        elif isinstance(member, Link):
            columns.update(field.column for field in member.columns)
    return columns


def _require(source: Source, section: Section, where: str) -> None:
    source.shape.require_ready()
    for name in section.required:
        if name not in source.columns or (name in section.links and name not in source.links):
            raise ConfigurationError(
                f"{where}.{name}: {section.entity} does not show partners what every document needs",
                hint=f"add {getattr(section, name)!r} to [entities.{section.entity}] expose",
            )


def _text(field: Field, alias: str) -> sql.Composable:
    return column_text(name(alias, field.column), field.type)
