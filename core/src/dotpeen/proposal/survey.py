"""Survey a catalog: which tables become entities, with which identifiers; pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dotpeen.database.catalog import Catalog, Table
from dotpeen.errors import ConfigurationError
from dotpeen.proposal.identifiers import BusinessId, UuidGuess, guess_business_id, guess_uuid
from dotpeen.proposal.names import Namer
from dotpeen.proposal.tables import (
    framework,
    is_link,
    public_first,
    referenced,
    row_key,
    unusable,
    updated_at,
)
from dotpeen.registry.models import TableName


@dataclass(frozen=True)
class ProposedEntity:
    """One entity as proposed; `doubt` says why it is only written as a comment."""

    name: str
    path: str | None
    table: Table
    primary_key: tuple[str, ...]
    business_id: BusinessId
    uuid: UuidGuess
    updated_at: str | None = None
    links: tuple[tuple[tuple[str, ...], str], ...] = ()
    """Foreign keys to other proposed entities: columns and the entity's name."""
    doubt: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A table that is not proposed, and why."""

    table: TableName
    reason: str


@dataclass(frozen=True)
class Proposal:
    """Everything `dotpeen init` found."""

    database: str
    role: str
    server_version: int
    entities: tuple[ProposedEntity, ...]
    doubtful: tuple[ProposedEntity, ...]
    left_out: tuple[LeftOut, ...]


def survey(catalog: Catalog, *, schemas: Sequence[str] = ()) -> Proposal:
    """Sort a database's tables into entities, doubtful ones and others; `schemas` limits which are looked at.

    Raises `ConfigurationError` for a schema without tables.
    """
    present = sorted({name.schema for name in catalog.tables})
    for schema in schemas:
        if schema not in present:
            raise ConfigurationError(
                f"no table in schema {schema!r}", hint=f"schemas with tables: {', '.join(present) or 'none'}"
            )
    linked = referenced(catalog)
    chosen: list[Table] = []
    doubts: dict[TableName, str] = {}
    left_out: list[LeftOut] = []
    for name in public_first(catalog.tables):
        table = catalog.tables[name]
        if schemas and name.schema not in schemas:
            continue
        reason = unusable(table)
        if reason is None and is_link(table) and name not in linked:
            reason = "links records by foreign keys and holds nothing else"
        if reason is not None:
            left_out.append(LeftOut(name, reason))
            continue
        owner = framework(name)
        if owner is not None:
            doubts[name] = f"looks like internals of {owner}"
        chosen.append(table)
    # Tables that are proposed take their names before the doubtful ones do.
    chosen.sort(key=lambda table: table.name in doubts)
    namer = Namer()
    names = {table.name: namer.take(table.name) for table in chosen}
    proposed = {name: entity for name, (entity, _) in names.items() if name not in doubts}
    entities = [_entity(table, names[table.name], proposed, doubts.get(table.name)) for table in chosen]
    return Proposal(
        database=catalog.database,
        role=catalog.role,
        server_version=catalog.server_version,
        entities=tuple(entity for entity in entities if entity.doubt is None),
        doubtful=tuple(entity for entity in entities if entity.doubt is not None),
        left_out=tuple(left_out),
    )


def _entity(
    table: Table, named: tuple[str, str | None], proposed: dict[TableName, str], doubt: str | None
) -> ProposedEntity:
    uuid = guess_uuid(table)
    return ProposedEntity(
        name=named[0],
        path=named[1],
        table=table,
        primary_key=row_key(table),
        business_id=guess_business_id(table, uuid.column if uuid.exists else ""),
        uuid=uuid,
        updated_at=updated_at(table),
        links=tuple(
            (key.columns, proposed[key.references])
            for key in table.foreign_keys
            if key.references in proposed
        ),
        doubt=doubt,
    )
