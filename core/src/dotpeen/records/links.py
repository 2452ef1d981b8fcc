"""Links between registered entities, from foreign keys and from the registry's relations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dotpeen.database import Table
from dotpeen.records.fields import Field, Link, UuidPlace
from dotpeen.registry import Entity, Registry


def links_of(
    registry: Registry,
    entity: Entity,
    tables: Mapping[str, Table],
    fields: Mapping[str, Mapping[str, Field]],
    places: Mapping[str, UuidPlace],
    reasons: Mapping[str, str | None],
) -> tuple[Link, ...]:
    """Return the entity's links to registered entities, declared ones first.

    Only where the referenced columns are unique: a link that could mean several records means none.
    """
    own = fields[entity.name]
    by_table = {table.name: name for name, table in tables.items()}
    wanted: list[tuple[str | None, str, tuple[str, ...], tuple[str, ...]]] = [
        (name, relation.entity, relation.columns, relation.references)
        for name, relation in entity.relations.items()
    ]
    declared = {columns for _, _, columns, _ in wanted}
    wanted += [
        (None, by_table[key.references], key.columns, key.referenced_columns)
        for key in tables[entity.name].foreign_keys
        if key.references in by_table and key.columns not in declared
    ]
    taken = set(own) | {entity.uuid.column}
    links = []
    for name, other, columns, referenced in wanted:
        references = referenced or registry.entities[other].primary_key
        if other not in tables or not _holds(own, tables[other], columns, references):
            continue
        called, external = _names(name, columns, other, taken)
        taken.add(external)
        links.append(
            Link(
                name=called,
                external_name=external,
                entity=other,
                columns=tuple(own[column] for column in columns),
                references=references,
                place=places[other],
                ready=reasons[other] is None,
            )
        )
    return tuple(links)


def _holds(own: Mapping[str, Field], other: Table, columns: Sequence[str], references: Sequence[str]) -> bool:
    return (
        len(columns) == len(references)
        and all(column in own for column in columns)
        and any(index.covers_exactly(references) for index in other.indexes)
    )


def _names(relation: str | None, columns: Sequence[str], other: str, taken: set[str]) -> tuple[str, str]:
    """`partId` → `part`, `partUuid`; `part_id` → `part`, `part_uuid`. Several columns: by the relation or entity."""
    candidates = []
    if len(columns) == 1:
        stem = re.sub(r"(?<=.)(_id|_ID|_key|Id|ID|Key)$", "", columns[0])
        snake = "_" in columns[0] or columns[0].islower()
        candidates.append((stem, f"{stem}_uuid" if snake else f"{stem}Uuid"))
    called = relation or other[0].lower() + other[1:]
    candidates += [(called, f"{called}Uuid"), (f"{called}Of{columns[0]}", f"{called}Of{columns[0]}Uuid")]
    for name, external in candidates:
        if external not in taken:
            return relation or name, external
    name, external = candidates[-1]
    while external in taken:
        external += "_"
    return relation or name, external
