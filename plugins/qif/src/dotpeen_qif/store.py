"""The plugin's own tables: which documents were imported, and what they said that the MES has no column for.

The schema `dotpeen_qif` is made by the first import. Where there is none, nothing was imported, and every function here
answers accordingly. What a document said counts as long as the columns of the MES hold what the import put there
(`merged`): whoever changes a record in the MES has the last word, attribute by attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, TypeVar

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.installation import SCHEMA
from dotpeen_qif.model import (
    Actual,
    Characteristic,
    Measurement,
    Plan,
    Product,
    Results,
    Tolerance,
    Unit,
)

T = TypeVar("T", Product, Plan, Characteristic, Actual, Measurement, Results)

_LOCAL: Final[Mapping[type, frozenset[str]]] = {
    Product: frozenset(),
    Plan: frozenset({"product", "characteristics"}),
    Characteristic: frozenset(),
    Actual: frozenset({"product"}),
    Measurement: frozenset({"characteristic", "actual", "device", "designator_uuid"}),
    Results: frozenset({"actuals", "measurements", "skimmed", "plan", "order", "order_uuid"}),
}
"""Fields that are not kept beside UUID, key and line: they are local to the document, or have a column here."""
_NUMBERS: Final = frozenset({"nominal", "value", "deviation"})


@dataclass(frozen=True)
class Seen:
    """What of a record's kept words counts, and for whom."""

    sources: Mapping[str, Sequence[str]]
    """The columns that each field is made of."""
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The columns that a named attribute is made of; the others are the document's alone, or come from other tables."""
    fields: frozenset[str] | None = None
    """The fields that the reader may see; None: all. Attributes that aren't columns are never among the former."""


@dataclass(frozen=True)
class ImportedDocument:
    """A document that was imported."""

    qpid: str
    file_name: str
    imported_at: datetime


@dataclass(frozen=True)
class AboutPart:
    """A part that a document is about; `kind` says what led there."""

    entity: str
    uuid: str
    kind: str


@dataclass(frozen=True)
class KeptMeasurement:
    """A measurement that the MES has no record of: nothing was measured."""

    uuid: str
    characteristic: str
    actual: str | None
    said: Mapping[str, Any]


@dataclass(frozen=True)
class KeptResults:
    """A set of results as its author put it together. UUIDs are those of records."""

    uuid: str
    plan: str | None
    part: str | None
    actual: str | None
    work_order: str | None
    said: Mapping[str, Any]


def documents(connection: Connection, uuid: str) -> Sequence[ImportedDocument]:
    """Return the documents that speak of a record, the latest first; for a measurement, those with its results."""
    if not SCHEMA.rights(connection, "SELECT"):
        return ()
    rows = connection.execute(
        "SELECT d.qpid::text, d.file_name, d.imported_at FROM dotpeen_qif.document AS d WHERE d.qpid IN ("
        "SELECT m.document FROM dotpeen_qif.mention AS m WHERE m.uuid = %(uuid)s::uuid"
        " UNION SELECT r.document FROM dotpeen_qif.measurement AS v"
        " JOIN dotpeen_qif.results AS r ON r.uuid = v.results WHERE v.uuid = %(uuid)s::uuid)"
        " ORDER BY d.imported_at DESC, d.qpid",
        {"uuid": uuid},
    )
    return [ImportedDocument(*row) for row in rows]


def parts(connection: Connection, qpid: str) -> Sequence[AboutPart]:
    """Return the parts that a document is about: what its QPId, or that of its results, leads to."""
    if not SCHEMA.rights(connection, "SELECT"):
        return ()
    rows = connection.execute(
        "SELECT DISTINCT m.entity, m.uuid::text, f.kind FROM dotpeen_qif.mention AS m JOIN ("
        "SELECT d.qpid, 'QIF document' AS kind FROM dotpeen_qif.document AS d WHERE d.qpid = %(qpid)s::uuid"
        " UNION SELECT r.document, 'QIF results' FROM dotpeen_qif.results AS r WHERE r.uuid = %(qpid)s::uuid)"
        " AS f ON f.qpid = m.document WHERE m.role = 'part' ORDER BY 1, 2, 3",
        {"qpid": qpid},
    )
    return [AboutPart(*row) for row in rows]


def results_of(
    connection: Connection, about: Literal["part", "plan", "actual", "work_order"], uuid: str
) -> Iterator[KeptResults]:
    """Yield the sets of results that are about a record, in the order of import."""
    if not SCHEMA.installed(connection):
        return
    query = sql.SQL(
        "SELECT r.uuid::text, r.plan::text, r.part::text, r.actual::text, r.work_order::text, r.said"
        " FROM dotpeen_qif.results AS r JOIN dotpeen_qif.document AS d ON d.qpid = r.document"
        " WHERE r.{} = %s::uuid ORDER BY d.imported_at, d.qpid, r.position"
    ).format(sql.Identifier(about))
    for row in connection.execute(query, [uuid]):
        yield KeptResults(*row)


def unrecorded(connection: Connection, results: str) -> Sequence[KeptMeasurement]:
    """Return the measurements of a set of results that the MES has no record of, in the document's order."""
    rows = connection.execute(
        "SELECT uuid::text, characteristic::text, actual::text, said FROM dotpeen_qif.measurement"
        " WHERE results = %s::uuid AND NOT recorded ORDER BY position",
        [results],
    )
    return [KeptMeasurement(*row) for row in rows]


def said(record: Product | Plan | Characteristic | Actual | Measurement | Results) -> dict[str, Any]:
    """Return what a document says of a record, as JSON can hold it: digit for digit, absent values as null."""
    local = _LOCAL[type(record)]
    return {
        one.name: _written(getattr(record, one.name))
        for one in fields(record)
        if one.name not in local and one.name not in ("uuid", "key", "line")
    }


def merged(
    record: T,
    said: Mapping[str, Any] | None,
    held: Mapping[str, Any] | None,
    row: Mapping[str, object],
    seen: Seen,
) -> T:
    """Return a record of the MES with what its document said of it, where the MES still holds what was imported.

    `row` has the columns of the MES as they are now, `said` and `held` come from `dotpeen_qif.kept` or
    `.measurement`; None where the record is not in there. What the reader may not see stays as the record has it.
    """
    if said is None:
        return record
    then = held or {}

    def unchanged(columns: Sequence[str]) -> bool:
        return all(_same(row[column], then.get(column)) for column in columns if column in row)

    known = {one.name for one in fields(record)}
    changes = {
        name: read(name, value)
        for name, value in said.items()
        if name in known
        and (seen.fields is None or name in seen.fields)
        and unchanged(seen.sources.get(name, ()))
    }
    if "attributes" in changes:
        mine = getattr(record, "attributes")  # noqa: B009  # not every record has them
        changes["attributes"] = _merged_attributes(mine, changes["attributes"], unchanged, seen)
    return replace(record, **changes)


def _merged_attributes(
    mine: Mapping[str, str],
    said: Mapping[str, str],
    unchanged: Callable[[Sequence[str]], bool],
    seen: Seen,
) -> dict[str, str]:
    """Return the attributes that a document gave a record, with those of the MES where it has changed them since.

    `mine` are the attributes as the MES has them now.
    """
    changed = {name for name, columns in seen.attributes.items() if not unchanged(columns)}
    found = {name: mine.get(name) if name in changed else value for name, value in said.items()}
    for name, value in mine.items():
        if name in changed or name not in seen.attributes:
            found.setdefault(name, value)
    return {name: value for name, value in found.items() if value is not None}


def read(name: str, value: Any) -> Any:
    """Return the value of a field from what `said` wrote."""
    if value is None:
        return None
    if name in _NUMBERS:
        return Decimal(value)
    if name == "at":
        return datetime.fromisoformat(value)
    if name == "tolerance":
        return Tolerance(
            upper=_number(value["upper"]),
            lower=_number(value["lower"]),
            limits=value["limits"],
            zone=_number(value["zone"]),
        )
    if name == "unit":
        return Unit(
            name=value["name"],
            quantity=value["quantity"],
            factor=Decimal(value["factor"]),
            offset=Decimal(value["offset"]),
            si_name=value["si_name"],
        )
    return tuple(value) if isinstance(value, list) else value


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Tolerance | Unit):
        return {one.name: _written(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple | list) else value


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _same(now: object, then: object) -> bool:
    """Compare a column's value with its text at the import: 25.40 and 25.4 are the same number."""
    if now is None or then is None:
        return now is None and then is None
    if isinstance(now, int | float | Decimal) and not isinstance(now, bool):
        try:
            return Decimal(str(now)) == Decimal(str(then))
        except InvalidOperation:
            return False
    if isinstance(now, datetime):
        return now == datetime.fromisoformat(str(then))
    return str(now) == str(then)
