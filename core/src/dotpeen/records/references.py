"""External references as fields of records: a column of the table, or values beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dotpeen.contributions import ExternalReference
from dotpeen.database.references import RememberedReference
from dotpeen.plugins import Plugins
from dotpeen.records.fields import Beside, Field
from dotpeen.registry import Entity

Remembered = Mapping[tuple[str, str], RememberedReference]
"""By entity and name."""
Contributed = Mapping[str, Sequence[tuple[str, ExternalReference]]]
"""What enabled plugins declare, by entity, with the plugin's name."""


def contributed_references(plugins: Plugins | None) -> Contributed:
    """Return what enabled plugins declare."""
    found: dict[str, list[tuple[str, ExternalReference]]] = {}
    for plugin, one in plugins.external_references() if plugins is not None else ():
        found.setdefault(one.entity, []).append((plugin, one))
    return found


def hidden_columns(entity: Entity, contributed: Contributed, remembered: Remembered) -> set[str]:
    """Name the columns that were made for a reference whose plugin is switched off.

    What the registry itself names stays.
    """
    declared = {one.column for _, one in contributed.get(entity.name, ())}
    made = {one.column for (name, _), one in remembered.items() if name == entity.name and one.created}
    named = {*entity.primary_key, *entity.business_id, *entity.expose, *entity.filters, *entity.writable}
    related = {column for relation in entity.relations.values() for column in relation.columns}
    return made - declared - named - related


def reference_field(
    entity: Entity,
    one: ExternalReference,
    fields: Mapping[str, Field],
    remembered: Remembered,
) -> Field | None:
    """Return a reference as a field under its own name; None while it has no place."""
    writable = {one.name, one.column} & set(entity.writable) != set()
    known = remembered.get((entity.name, one.name))
    if known is not None and known.storage == "sidecar":
        key = tuple(fields[column] for column in entity.primary_key)
        return Field(
            one.name,
            one.column,
            one.type,
            one.type,
            writable=writable,
            # As the values beside are kept.
            collation=("pg_catalog", "C") if one.type == "text" else None,
            beside=Beside(entity.name, one.name, key),
        )
    there = fields.get(one.column)
    if there is None:
        return None
    return replace(there, name=one.name, writable=there.writable or (writable and not there.generated))
