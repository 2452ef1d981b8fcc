"""What an entity looks like in this database: the registry, the catalog and the plugins' references, put together.

Pure data but for `load_shapes`, which reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from psycopg import sql

from dotpeen.database import Connection, Table, read_catalog
from dotpeen.database.references import remembered_references
from dotpeen.errors import ConfigurationError, InvalidQueryError, NotMigratedError
from dotpeen.identifiers import InvalidCompositeError, is_cuid, is_cuid2, split_composite
from dotpeen.plugins import Plugins
from dotpeen.records import values
from dotpeen.records.fields import (
    Audience,
    Field,
    Identifier,
    Incoming,
    Link,
    Member,
    UuidPlace,
    member_name,
    read_fields,
)
from dotpeen.records.links import links_of
from dotpeen.records.references import contributed_references, hidden_columns, reference_field
from dotpeen.registry import Entity, Registry, TableName
from dotpeen.registry.models import default_path

KeyForm = Literal["cuid", "cuid2", "uuid"]
_SAMPLE: Final = 20
"""Keys looked at to learn their form."""


@dataclass(frozen=True, eq=False)
class Shape:
    """An entity as it is in this database. Two shapes are the same only if they are one object."""

    entity: Entity
    table: TableName
    place: UuidPlace
    fields: Mapping[str, Field]
    """Every column by its name, in the table's order."""
    links: Mapping[str, Link]
    """By their external names."""
    incoming: tuple[Incoming, ...]
    members: Mapping[Audience, Mapping[str, Member]]
    """What each audience sees of a record, by name and in order."""
    narrowed: Mapping[Audience, Mapping[str, Member]]
    """What each audience can narrow a list by."""
    identifiers_of: Mapping[Audience, tuple[Identifier, ...]]
    key: tuple[Field, ...]
    """The primary key."""
    ready: str | None = None
    """None, or why the records have no UUIDs to ask by."""
    key_form: KeyForm | None = None
    """The form of primary keys that the application, not the database, makes."""
    unique: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of each unique index or other constraint by its name."""
    references: Mapping[str, Field] = field(default_factory=dict)
    """External references by their names."""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """Everything a record answers to, the UUID first."""
        return self.identifiers_of["internal"]

    @property
    def exposed(self) -> tuple[str, ...]:
        """What partners see, in order."""
        return tuple(self.members["external"])

    @property
    def filters(self) -> tuple[str, ...]:
        """What partners can narrow lists by."""
        return tuple(self.narrowed["external"])

    def require_ready(self) -> None:
        """Raise `NotMigratedError` unless every record has a UUID to ask by."""
        if self.ready is not None:
            raise NotMigratedError(self.entity.name, self.ready)

    def chosen(self, names: Sequence[str], *, audience: Audience) -> tuple[str, ...]:
        """Return the names that `fields=` asks for, each once and in the order of the record.

        Raises `InvalidQueryError` for a name that the audience doesn't see.
        """
        seen = self.selectable(audience)
        for name in names:
            if name not in seen:
                raise InvalidQueryError("fields", f"no field {name!r}; there are {', '.join(seen)}")
        return tuple(name for name in seen if name in names)

    def selectable(self, audience: Audience) -> Mapping[str, Member]:
        """What can be asked for: what is seen, and internally also the UUIDs of linked records."""
        if audience == "external":
            return self.members["external"]
        ready = {link.external_name: link for link in self.links.values() if link.ready}
        return {**ready, **self.members["internal"]}

    def sortable(self, audience: Audience) -> Mapping[str, Field | UuidPlace]:
        """What a list can be sorted by."""
        return {
            name: member
            for name, member in self.members[audience].items()
            if isinstance(member, UuidPlace) or (isinstance(member, Field) and member.ordered)
        }

    def identifier(self, name: str | Sequence[str], *, audience: Audience) -> Identifier | None:
        """Return the declared identifier of this name, or of these parts in any order."""
        wanted = {name} if isinstance(name, str) else set(name)
        for identifier in self.identifiers_of[audience]:
            if identifier.name == name or (wanted == set(identifier.columns) and len(name) > 0):
                return identifier
        return None

    def not_a_key(self, text: str) -> str | None:
        """Return why a text can't be a primary key of this entity, None when it can."""
        try:
            parts = (text,) if len(self.key) == 1 else split_composite(text)
        except InvalidCompositeError as error:
            return error.message
        if len(parts) != len(self.key):
            return f"the primary key of {self.entity.name} has {len(self.key)} parts, joined by ':'"
        for part, column in zip(parts, self.key, strict=True):
            try:
                values.parse(column, part)
            except ValueError as error:
                return f"this can't be a primary key of {self.entity.name}: {error}"
        if self.key_form in ("cuid", "cuid2") and values.is_uuid(text):
            return f"the primary keys of {self.entity.name} are no UUIDs"
        return None


class Shapes(Mapping[str, Shape]):
    """The shapes of a registry's entities by name; entities without a table are left out."""

    def __init__(self, shapes: Iterable[Shape], *, missing: Mapping[str, str] | None = None) -> None:
        self._shapes = {shape.entity.name: shape for shape in shapes}
        self._paths = {shape.entity.path: shape for shape in self._shapes.values()}
        self.missing: Mapping[str, str] = dict(missing or {})
        """Why an entity is left out."""

    def __getitem__(self, name: str) -> Shape:
        return self._shapes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    # One reading of the catalog is never another: statements are kept by it.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def by_path(self, path: str) -> Shape | None:
        """Return the shape whose entity has this path in URLs."""
        return self._paths.get(path)

    def entity(self, name: str) -> Shape:
        """Return an entity's shape. Raises `ConfigurationError` for one that is not there."""
        if name in self._shapes:
            return self._shapes[name]
        if name in self.missing:
            raise ConfigurationError(
                f"entity {name}: {self.missing[name]}", hint="dotpeen check says what doesn't fit"
            )
        raise ConfigurationError(
            f"no entity {name!r}", hint=f"registered entities: {', '.join(self._shapes) or 'none'}"
        )


def load_shapes(connection: Connection, registry: Registry, plugins: Plugins | None = None) -> Shapes:
    """Read what the registered entities look like in this database; takes no lock that anybody waits for.

    An entity without its table, or without its primary key's columns, is left out, and said so in `missing`.
    """
    entities = list(registry.entities.values())
    sidecars = {entity.name: TableName("dotpeen", f"identity_{entity.name}") for entity in entities}
    with connection.transaction():
        # Names of types are written with their schema then.
        connection.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)")
        catalog = read_catalog(connection, [*(entity.table for entity in entities), *sidecars.values()])
        there, missing = _present(entities, catalog.tables)
        fields = read_fields(connection, there)
        remembered = remembered_references(connection)
        forms = {entity.name: _key_form(connection, entity, table, fields) for entity, table in there}
    contributed = contributed_references(plugins)
    if plugins is not None:
        for entity, _ in there:
            for column in hidden_columns(entity, contributed, remembered):
                fields[entity.name].pop(column, None)
    tables = {entity.name: table for entity, table in there}
    places = {entity.name: _place(entity, fields[entity.name], sidecars[entity.name]) for entity, _ in there}
    reasons = {
        entity.name: _not_ready(entity, table, catalog.tables.get(sidecars[entity.name]))
        for entity, table in there
    }
    links = {entity.name: links_of(registry, entity, tables, fields, places, reasons) for entity, _ in there}
    shapes = []
    for entity, table in there:
        own, name = fields[entity.name], entity.name
        references = [
            (plugin, one, reference_field(entity, one, own, remembered))
            for plugin, one in contributed.get(name, ())
        ]
        placed = [(plugin, one) for plugin, _, one in references if one is not None]
        parts = _Parts(entity, table, own, places[name], links[name], placed, reasons[name])
        visible = {one.name: one for _, one in parts.referenced()}
        shapes.append(
            Shape(
                entity=entity,
                table=table.name,
                place=places[name],
                fields=own,
                links={link.external_name: link for link in links[name]},
                incoming=_incoming(name, links),
                members={"external": parts.external(), "internal": parts.internal()},
                narrowed={"external": parts.external_filters(), "internal": parts.internal_filters()},
                identifiers_of={
                    "external": parts.identifiers("external"),
                    "internal": parts.identifiers("internal"),
                },
                key=tuple(own[column] for column in entity.primary_key),
                ready=reasons[name],
                key_form=forms[name],
                unique={
                    **{one.name: one.columns for one in table.constraints if one.columns},
                    **{
                        index.name: tuple(column for column in index.columns if column is not None)
                        for index in table.indexes
                    },
                    **{key.name: key.columns for key in table.foreign_keys},
                    **_unique_beside(visible.values()),
                },
                references=visible,
            )
        )
    return Shapes(shapes, missing=missing)


def _present(
    entities: Sequence[Entity], tables: Mapping[TableName, Table]
) -> tuple[list[tuple[Entity, Table]], dict[str, str]]:
    there, missing = [], {}
    for entity in entities:
        table = tables.get(entity.table)
        if table is None:
            missing[entity.name] = f"no table {entity.table}"
            continue
        absent = [column for column in entity.primary_key if column not in table.columns]
        if absent:
            missing[entity.name] = f"{entity.table} has no column {absent[0]!r}"
            continue
        there.append((entity, table))
    return there, missing


def _place(entity: Entity, fields: Mapping[str, Field], sidecar: TableName) -> UuidPlace:
    return UuidPlace(
        name=entity.uuid.column,
        entity=entity.name,
        table=entity.table,
        key=tuple(fields[column] for column in entity.primary_key),
        text=entity.uuid.type == "text",
        sidecar=sidecar if entity.uuid.storage == "sidecar" else None,
    )


def _not_ready(entity: Entity, table: Table, sidecar: Table | None) -> str | None:
    """Why not every record is certain to have a UUID that can be asked for by an index."""
    if entity.uuid.storage == "sidecar":
        # The index is built once every record has its UUID.
        done = sidecar is not None and any(
            index.valid and index.unique and index.columns == ("uuid",) for index in sidecar.indexes
        )
        return None if done else f"not migrated: the sidecar of {entity.name} is not complete"
    column = table.columns.get(entity.uuid.column)
    if column is None:
        return f"not migrated: {table.name} has no column {entity.uuid.column}"
    if column.type != entity.uuid.type:
        return f"not migrated: {column.name} of {table.name} is of type {column.type}"
    partitioned = table.kind == "partitioned"
    if not any(
        index.covers_exactly([column.name])
        or (partitioned and index.valid and not index.partial and index.columns[0] == column.name)
        for index in table.indexes
    ):
        return f"migration not finished: no unique index over {column.name} of {table.name}"
    if not column.not_null:
        return f"migration not finished: {column.name} of {table.name} may be null"
    return None


def _key_form(
    connection: Connection, entity: Entity, table: Table, fields: Mapping[str, Mapping[str, Field]]
) -> KeyForm | None:
    key = [fields[entity.name][column] for column in entity.primary_key]
    if len(key) != 1 or key[0].kind != "text" or key[0].default or not table.may_select:
        return None
    query = sql.SQL("SELECT {}::text FROM {} LIMIT {}").format(
        sql.Identifier(key[0].column), sql.Identifier(*entity.table), sql.Literal(_SAMPLE)
    )
    keys = [text for (text,) in connection.execute(query).fetchall()]
    forms: dict[KeyForm, Callable[[str], bool]] = {"cuid": is_cuid, "cuid2": is_cuid2, "uuid": values.is_uuid}
    return next((form for form, fits in forms.items() if keys and all(map(fits, keys))), None)


def _unique_beside(references: Iterable[Field]) -> dict[str, tuple[str, ...]]:
    """The constraint of `dotpeen.external_value`, which all references of an entity share."""
    beside = [one.name for one in references if one.beside is not None]
    return {"external_value_once": tuple(beside)} if len(beside) == 1 else {}


def _incoming(name: str, links: Mapping[str, Sequence[Link]]) -> tuple[Incoming, ...]:
    found: list[Incoming] = []
    taken: set[str] = set()
    for entity, own in links.items():
        to_this = [link for link in own if link.entity == name]
        plural = re.sub(r"-(\w)", lambda match: match[1].upper(), default_path(entity))
        for link in to_this:
            called = plural if len(to_this) == 1 else f"{plural}By{link.name[0].upper()}{link.name[1:]}"
            while called in taken:
                called += "_"
            taken.add(called)
            found.append(Incoming(called, entity, link))
    return tuple(found)


@dataclass(frozen=True)
class _Parts:
    """Sorts out who sees what of one entity."""

    entity: Entity
    table: Table
    fields: Mapping[str, Field]
    place: UuidPlace
    links: Sequence[Link]
    references: Sequence[tuple[str, Field]]
    """With the plugins they come from."""
    reason: str | None

    def external(self) -> dict[str, Member]:
        """The UUID, the business identifier, what is exposed, external references. Never a key."""
        if self.reason is not None:
            return {}
        columns = [*self.entity.business_id, *self.entity.expose]
        found: dict[str, Member] = {self.place.name: self.place}
        for member in (*self._outside(columns), *(one for _, one in self.referenced())):
            found.setdefault(member_name(member), member)
        return found

    def internal(self) -> dict[str, Member]:
        """Every column as it is, the UUID, and external references that are called otherwise or are no columns."""
        found: dict[str, Member] = {}
        if self.reason is None:
            found[self.place.name] = self.place
        for name, field_ in (*self.fields.items(), *((one.name, one) for _, one in self.referenced())):
            found.setdefault(name, field_)
        return found

    def external_filters(self) -> dict[str, Member]:
        if self.reason is not None:
            return {}
        chosen = self._outside([*self.entity.business_id, *self.entity.filters])
        return {member_name(member): member for member in chosen if _comparable(member)}

    def internal_filters(self) -> dict[str, Member]:
        ready = {link.external_name: link for link in self.links if link.ready}
        members: dict[str, Member] = {**ready, **self.internal()}
        return {name: member for name, member in members.items() if _comparable(member)}

    def identifiers(self, audience: Audience) -> tuple[Identifier, ...]:
        found = []
        if self.reason is None:
            found.append(Identifier(self.place.name, (self.place,), "uuid"))
        if audience == "internal":
            key = tuple(self.fields[column] for column in self.entity.primary_key)
            found.append(_identifier(key, "primary"))
        business = tuple(self.fields[c] for c in self.entity.business_id if c in self.fields)
        if business and len(business) == len(self.entity.business_id):
            parts: tuple[Member, ...] = business
            if audience == "external":
                parts = tuple(self._outside(self.entity.business_id))
                covered = {c for part in parts for c in _columns_of(part)}
                if self.reason is not None or not covered >= set(self.entity.business_id):
                    parts = ()
            if parts and not any({_columns_of(part) for part in parts} == _all(one) for one in found):
                found.append(_identifier(parts, "business"))
        if audience == "internal" or self.reason is None:
            for plugin, reference in self.referenced():
                found.append(Identifier(reference.name, (reference,), "external", source=plugin))
        return tuple(found)

    def referenced(self) -> list[tuple[str, Field]]:
        """External references that have a place, and are no key."""
        hidden = self._hidden()
        return [
            (plugin, one)
            for plugin, one in self.references
            if one.beside is not None or one.column not in hidden
        ]

    def _hidden(self) -> set[str]:
        keys = {column for key in self.table.foreign_keys for column in key.columns}
        linked = {field_.column for link in self.links for field_ in link.columns}
        return keys | linked | set(self.entity.primary_key)

    def _outside(self, columns: Iterable[str]) -> list[Member]:
        """The columns as partners may see them: keys left out, foreign keys as the UUID they stand for."""
        hidden = self._hidden()
        referenced = {name: one for _, one in self.referenced() for name in (one.name, one.column)}
        found: dict[str, Member] = {}
        for column in columns:
            if column in referenced:
                found.setdefault(referenced[column].name, referenced[column])
                continue
            for link in self.links:
                if column in {field_.column for field_ in link.columns} and link.ready:
                    found.setdefault(link.external_name, link)
            if column in self.fields and column not in hidden and column != self._uuid_column():
                found.setdefault(column, self.fields[column])
        return list(found.values())

    def _uuid_column(self) -> str | None:
        return None if self.place.sidecar else self.entity.uuid.column


def _comparable(member: Member) -> bool:
    return not isinstance(member, Field) or member.kind not in ("json", "array")


def _identifier(parts: Sequence[Member], kind: Literal["primary", "business"]) -> Identifier:
    return Identifier(":".join(member_name(part) for part in parts), tuple(parts), kind)


def _columns_of(part: Member) -> tuple[str, ...]:
    if isinstance(part, Link):
        return tuple(field_.column for field_ in part.columns)
    return (part.column,) if isinstance(part, Field) else (part.name,)


def _all(identifier: Identifier) -> set[tuple[str, ...]]:
    return {_columns_of(part) for part in identifier.parts}
