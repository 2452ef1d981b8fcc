"""What an entity looks like in this database: the registry, the catalog and the plugins' references, put together.

Pure data; `dotpeen.records.loading` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dotpeen.errors import ConfigurationError, InvalidQueryError, NotMigratedError
from dotpeen.identifiers import InvalidCompositeError, split_composite
from dotpeen.records import values
from dotpeen.records.fields import Audience, Field, Identifier, Incoming, Link, Member, UuidPlace
from dotpeen.registry import Entity, TableName

KeyForm = Literal["cuid", "cuid2", "uuid"]


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
