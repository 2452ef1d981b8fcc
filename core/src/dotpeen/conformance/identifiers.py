"""The identifiers of an entity: what partners may see and change, and texts that could be two identifiers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from dotpeen.conformance.finding import Finding, finding, listed
from dotpeen.database.catalog import Catalog, Table
from dotpeen.registry.models import Entity

Form = Literal["text", "number", "uuid"]
_FORMS: Final[dict[str, Form]] = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "citext": "text",
    "smallint": "number",
    "integer": "number",
    "bigint": "number",
    "numeric": "number",
    "uuid": "uuid",
}


def partners(entity: Entity, table: Table) -> Iterator[Finding]:
    """Keep the primary key from partners, and from their hands what the database makes."""
    for field in ("expose", "filters", "writable"):
        for name in getattr(entity, field):
            if name in entity.primary_key:
                yield finding(
                    "error",
                    entity,
                    field,
                    f"{name} is the primary key: partners never see internal ids",
                    f"leave it out; the UUID is there without being named, {listed(entity.business_id)} too"
                    if entity.business_id
                    else "leave it out; the UUID is there without being named",
                )
    for name in entity.writable:
        column = table.columns.get(name)
        if column is not None and column.generated:
            yield finding("error", entity, "writable", f"{name} is made by the database", "leave it out")
        elif entity.uuid.storage == "column" and name == entity.uuid.column:
            yield finding(
                "error", entity, "writable", f"{name} is the UUID, which never changes", "leave it out"
            )


def overlaps(catalog: Catalog, entities: Iterable[Entity]) -> Iterator[Finding]:
    """Tell where one text could be the primary key of one record and the business identifier of another."""
    free: list[Entity] = []
    for entity in entities:
        table = catalog.table(entity.table)
        if table is None or not entity.business_id or set(entity.business_id) == set(entity.primary_key):
            continue
        forms = (_forms(table, entity.primary_key), _forms(table, entity.business_id))
        if None in forms[0] or None in forms[1] or len(forms[0]) != len(forms[1]):
            continue
        pairs = list(zip(*forms, strict=True))
        if all(own == other != "text" for own, other in pairs):
            yield finding(
                "warning",
                entity,
                "business_id",
                f"{listed(entity.business_id)} and the primary key {listed(entity.primary_key)} look the same: a"
                " lookup by any identifier is refused where two records answer",
                f"ask by one field: /by/{':'.join(entity.business_id)}/… over REST, find_by in Python",
            )
        elif all(own == other or "text" in (own, other) for own, other in pairs):
            free.append(entity)
    if free:
        named = ", ".join(entity.name for entity in free)
        yield Finding(
            "note",
            free[0].name,
            "entities",
            f"{named}: the business identifier is free text, which may look like another record's primary key",
            "a lookup by any identifier is refused where two records answer; one by field (/by/…) never is",
        )


def _forms(table: Table, columns: Iterable[str]) -> list[Form | None]:
    types = [table.columns[name].type if name in table.columns else "" for name in columns]
    return [_FORMS.get(each.split("(")[0].rpartition(".")[2]) for each in types]
