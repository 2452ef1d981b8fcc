"""An entity against its table: existence, rights, keys, columns, relations."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from dotpeen.conformance.finding import Finding, Level, did_you_mean, finding, listed, quoted
from dotpeen.conformance.identifiers import partners
from dotpeen.conformance.uuids import uuid_column
from dotpeen.contributions import ExternalReference
from dotpeen.database.catalog import Catalog, Table
from dotpeen.registry.models import Entity, Registry, TableName

_FAMILIES: Final = (
    {"smallint", "integer", "bigint", "numeric"},
    {"text", "character varying", "character", "citext"},
)


def conformance(
    registry: Registry,
    catalog: Catalog,
    entities: Iterable[Entity],
    *,
    contributed: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Hold entities against the catalog, errors first; relations may point to any entity of the registry.

    `contributed` has the names of each entity's external references (`contributed_columns`): those need no column yet.
    """
    coming = contributed or {}
    found = [
        one for entity in entities for one in _entity(registry, catalog, entity, coming.get(entity.name, ()))
    ]
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda one: rank[one.level])


def contributed_columns(references: Iterable[ExternalReference]) -> dict[str, set[str]]:
    """What external references are called, by entity: their own names and those of their columns."""
    found: dict[str, set[str]] = {}
    for one in references:
        found.setdefault(one.entity, set()).update((one.name, one.column))
    return found


def _entity(
    registry: Registry, catalog: Catalog, entity: Entity, coming: Collection[str]
) -> Iterator[Finding]:
    table = catalog.table(entity.table)
    if table is None:
        yield finding(
            "error", entity, "table", f"no table {entity.table}", _similar_table(entity.table, catalog)
        )
        return
    if table.kind not in ("table", "partitioned"):
        what = {"foreign": "a foreign table", "view": "a view"}.get(table.kind, "no ordinary table")
        yield finding(
            "error", entity, "table", f"{table.name} is {what}", "name the table that holds the rows"
        )
        return
    yield from _table(entity, table)
    yield from _rights(entity, table, catalog)
    yield from _primary_key(entity, table)
    yield from _business_id(entity, table)
    if entity.uuid.storage == "column":
        yield from uuid_column(entity, table)
    for field in ("expose", "filters", "writable"):
        named = [name for name in getattr(entity, field) if name not in coming]
        yield from _missing(entity, table, field, named)
    yield from partners(entity, table)
    yield from _updated_at(entity, table)
    yield from _relations(registry, catalog, entity, table)


def _table(entity: Entity, table: Table) -> Iterator[Finding]:
    if table.inherits:
        yield finding(
            "error",
            entity,
            "table",
            f"{table.name} takes part in table inheritance: no key is unique in all of it",
            "detach it (ALTER TABLE ... NO INHERIT), or use declarative partitioning",
        )
    if table.is_partition:
        yield finding(
            "error",
            entity,
            "table",
            f"{table.name} is a partition: rows of its siblings would be left without a UUID",
            "register the partitioned table: all its partitions are migrated with it",
        )
    for partition in table.partitions:
        if partition.foreign:
            yield finding(
                "error",
                entity,
                "table",
                f"partition {partition.name} is a foreign table: its rows can't be filled from here",
                "detach it, or migrate it where it is",
            )
    if table.persistence == "u":
        yield finding(
            "warning",
            entity,
            "table",
            f"{table.name} is unlogged: a crash of the server empties it, UUIDs included",
            f"ALTER TABLE {quoted(*table.name)} SET LOGGED",
        )


def _rights(entity: Entity, table: Table, catalog: Catalog) -> Iterator[Finding]:
    role = catalog.role
    if table.row_security:
        yield finding(
            "error",
            entity,
            "table",
            f"row level security applies to role {role}: rows it can't see would be left without a UUID",
            "connect as the table's owner or a role with BYPASSRLS",
        )
    if not table.may_select:
        yield finding(
            "error", entity, "table", f"role {role} may not read {table.name}", _grant("SELECT", table, role)
        )
    if entity.uuid.storage == "sidecar":
        if not table.may_trigger:
            yield finding(
                "error",
                entity,
                "table",
                f"role {role} may not create triggers on {table.name}: new rows would get no UUID",
                _grant("TRIGGER", table, role),
            )
    elif not table.owned:
        yield finding(
            "error",
            entity,
            "uuid.storage",
            f"{table.name} belongs to {table.owner}: role {role} can't add a column to it",
            f'run as {table.owner}, or keep the UUIDs apart: uuid = {{ storage = "sidecar" }}',
        )
    else:
        for privilege, allowed in (("UPDATE", table.may_update), ("TRIGGER", table.may_trigger)):
            if not allowed:
                message = f"role {role} owns {table.name} but was denied {privilege}"
                yield finding("error", entity, "table", message, _grant(privilege, table, role))


def _primary_key(entity: Entity, table: Table) -> Iterator[Finding]:
    missing = list(_missing(entity, table, "primary_key", entity.primary_key))
    if missing:
        yield from missing
    elif not table.is_key(entity.primary_key):
        named = listed(entity.primary_key)
        if table.primary_key:
            hint = f"the table's primary key is {listed(table.primary_key)}"
        else:
            hint = "the table has no primary key: add one, or name columns with a unique index and NOT NULL"
        yield finding(
            "error",
            entity,
            "primary_key",
            f"{named} does not identify a row: no unique, never-null index over it",
            hint,
        )
    elif entity.uuid.storage == "sidecar" and not any(
        index.immediate for index in table.indexes if index.covers_exactly(entity.primary_key)
    ):
        yield finding(
            "error",
            entity,
            "primary_key",
            f"{listed(entity.primary_key)} is a DEFERRABLE key: two rows may share it within a transaction,"
            " and the sidecar can't tell them apart",
            'keep the UUIDs in the table: uuid = { storage = "column" }, or make the key NOT DEFERRABLE',
        )


def _business_id(entity: Entity, table: Table) -> Iterator[Finding]:
    missing = list(_missing(entity, table, "business_id", entity.business_id))
    if missing or not entity.business_id:
        yield from missing
        return
    derived = entity.uuid.version == 5
    level: Level = "error" if derived else "warning"
    named = listed(entity.business_id)
    if not any(index.covers_exactly(entity.business_id) for index in table.indexes):
        yield finding(
            level,
            entity,
            "business_id",
            f"{named} is not unique in the database"
            + (": two rows of the same value would be given the same UUID" if derived else ""),
            "add a unique index, or use version 4"
            if derived
            else "a lookup that finds several records is refused; a unique index rules that out",
        )
    empty = [name for name in entity.business_id if not table.columns[name].not_null]
    if empty and derived:
        yield finding(
            "error",
            entity,
            "business_id",
            f"{listed(empty)} may be null: such a row has nothing to derive its UUID from",
            "set the column NOT NULL, or use version 4",
        )


def _updated_at(entity: Entity, table: Table) -> Iterator[Finding]:
    if entity.updated_at is None:
        return
    column = table.columns.get(entity.updated_at)
    if column is None:
        yield from _missing(entity, table, "updated_at", [entity.updated_at])
    elif column.generated:
        message = f"{column.name} is made by the database"
        yield finding("error", entity, "updated_at", message, "leave updated_at out")
    elif not column.type.startswith("timestamp"):
        message = f"{column.name} is {column.type}: it can't hold the time of a change"
        yield finding("error", entity, "updated_at", message, "name a timestamp, or leave updated_at out")


def _relations(registry: Registry, catalog: Catalog, entity: Entity, table: Table) -> Iterator[Finding]:
    for name, relation in entity.relations.items():
        field = f"relations.{name}"
        other = registry.entities[relation.entity]
        target = catalog.table(other.table)
        references = relation.references or other.primary_key
        missing = list(_missing(entity, table, f"{field}.columns", relation.columns))
        if target is not None:
            missing += _missing(entity, target, f"{field}.references", references)
        yield from missing
        if len(relation.columns) != len(references):
            yield finding(
                "error",
                entity,
                f"{field}.columns",
                f"{listed(relation.columns)} can't point to {listed(references)} of {other.name}",
                "name as many columns on both sides",
            )
        elif not missing and target is not None:
            for own, theirs in zip(relation.columns, references, strict=True):
                here, there = table.columns[own].type, target.columns[theirs].type
                if not _comparable(here, there):
                    yield finding(
                        "error",
                        entity,
                        f"{field}.columns",
                        f"{own} is {here}, {other.name}.{theirs} is {there}: they are never equal",
                        "name columns of the same type",
                    )


def _comparable(left: str, right: str) -> bool:
    bases = {re.sub(r"\(.*", "", left), re.sub(r"\(.*", "", right)}
    return len(bases) == 1 or any(bases <= family for family in _FAMILIES)


def _missing(entity: Entity, table: Table, field: str, columns: Sequence[str]) -> Iterator[Finding]:
    for name in columns:
        if name not in table.columns:
            yield finding(
                "error",
                entity,
                field,
                f"{table.name} has no column {name!r}",
                did_you_mean(name, table.columns),
            )


def _similar_table(name: TableName, catalog: Catalog) -> str | None:
    same = sorted(other for other in catalog.tables if other.name.casefold() == name.name.casefold())
    if same:
        return "there is " + ", ".join(str(other) for other in same) + ": case and schema count"
    close = difflib.get_close_matches(str(name), [str(other) for other in catalog.tables], n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "see what there is: dotpeen init"


def _grant(privilege: str, table: Table, role: str) -> str:
    return f"GRANT {privilege} ON {quoted(*table.name)} TO {quoted(role)}"
