"""Who sees what of an entity: columns, links in the place of foreign keys, external references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dotpeen.database import Table
from dotpeen.records.fields import Audience, Field, Identifier, Link, Member, UuidPlace, member_name
from dotpeen.registry import Entity


@dataclass(frozen=True)
class Visibility:
    """Sorts out what partners and the site's own applications see of one entity."""

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
        """What partners can narrow a list by."""
        if self.reason is not None:
            return {}
        chosen = self._outside([*self.entity.business_id, *self.entity.filters])
        return {member_name(member): member for member in chosen if _comparable(member)}

    def internal_filters(self) -> dict[str, Member]:
        """What the site's own applications can narrow a list by."""
        ready = {link.external_name: link for link in self.links if link.ready}
        members: dict[str, Member] = {**ready, **self.internal()}
        return {name: member for name, member in members.items() if _comparable(member)}

    def identifiers(self, audience: Audience) -> tuple[Identifier, ...]:
        """What a record answers to, the UUID first."""
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
