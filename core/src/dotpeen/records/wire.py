"""The wire format: how each type of column looks in JSON, the same from every route and to every caller.

| column | JSON |
|---|---|
| numeric | string, exact: `"25.4000"`; `"NaN"`, `"Infinity"` |
| smallint, integer, bigint | number |
| real, double precision | number, the shortest that is exact; `"NaN"`, `"Infinity"`, `"-Infinity"` as strings |
| boolean | `true`, `false` |
| uuid | string, lower case |
| timestamp, timestamptz | `"2026-01-31T12:00:00.123456Z"`: UTC, microseconds; without a zone it is UTC |
| date | `"2026-01-31"` |
| json, jsonb | as it is |
| bytea | string, base64 |
| arrays | arrays of these |
| enum and all else | string, PostgreSQL's text |

Moments before the year 1 or after 9999 have a sign and six digits (`"-000043-03-15T…"`, as ECMAScript writes them),
infinite ones are `"infinity"` and `"-infinity"`. A domain looks like its base type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from dotpeen.database.keys import key_expression
from dotpeen.records.fields import Field, Kind

_CLOCK: Final = sql.SQL('\'-MM-DD"T"HH24:MI:SS.US"Z"\'')
_QUOTED: Final = sql.SQL("'\"' || {} || '\"'")
_STRING: Final = sql.SQL("pg_catalog.to_json({}::text)::text")
_OWN: Final = sql.SQL("pg_catalog.to_json({})::text")
_YEAR: Final = sql.SQL(
    "(CASE WHEN extract(year FROM {m}) < 0 THEN extract(year FROM {m}) + 1 ELSE extract(year FROM {m}) END)"
)
_MOMENT: Final = sql.SQL(
    "CASE WHEN {m} >= '0001-01-01' AND {m} < '10000-01-01'"
    ' THEN pg_catalog.to_char({m}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
    " WHEN pg_catalog.isfinite({m}) THEN pg_catalog.to_char({year}, 'SG000000') || pg_catalog.to_char({m}, {clock})"
    " ELSE {m}::text END"
)
_DAY: Final = sql.SQL(
    "CASE WHEN {m} >= '0001-01-01' AND {m} < '10000-01-01' THEN pg_catalog.to_char({m}::timestamp, 'YYYY-MM-DD')"
    " WHEN pg_catalog.isfinite({m}) THEN pg_catalog.to_char({year},"
    " CASE WHEN {year} > 999999 THEN 'SG0000000' ELSE 'SG000000' END)"
    " || '-' || pg_catalog.to_char(extract(month FROM {m}), 'FM00')"
    " || '-' || pg_catalog.to_char(extract(day FROM {m}), 'FM00')"
    " ELSE {m}::text END"
)


class Name(sql.Identifier):
    """A quoted name in a statement with placeholders, where a percent sign has to be doubled."""

    def as_bytes(self, context: Any = None) -> bytes:
        """Return it quoted."""
        return super().as_bytes(context).replace(b"%", b"%%")


class Text(sql.Literal):
    """A quoted text in a statement with placeholders, where a percent sign has to be doubled."""

    def as_bytes(self, context: Any = None) -> bytes:
        """Return it quoted."""
        return super().as_bytes(context).replace(b"%", b"%%")


def trusted(text: str) -> sql.SQL:
    """Take text of the catalog, such as the name of a type, as it stands."""
    return sql.SQL(text.replace("%", "%%"))


def expression(field: Field, alias: str) -> sql.Composable:
    """SQL for a column's value as JSON text; never NULL, which is `null`."""
    return sql.SQL("coalesce({}, 'null')").format(_json(field, column(field, alias)))


def column(field: Field, alias: str) -> sql.Composable:
    """A field of a row: its column, or its value beside the table."""
    beside = field.beside
    if beside is None:
        return Name(alias, field.column)
    return sql.SQL(
        "(SELECT x.value FROM dotpeen.external_value AS x WHERE x.entity = {} AND x.name = {} AND x.key = {})"
    ).format(Text(beside.entity), Text(beside.reference), row_key(beside.key, alias))


def row_key(key: Sequence[Field], alias: str) -> sql.Composable:
    """The primary key of a row as sidecars are keyed by it."""
    made = key_expression(alias, [field.column for field in key], {field.column: field.type for field in key})
    # Not written for placeholders.
    return sql.SQL('{} COLLATE "C"').format(trusted(made.as_string()))


def text(field: Field, alias: str) -> sql.Composable:
    """SQL for a column's value as plain text, as `values.parse` reads it; NULL stays NULL."""
    value = column(field, alias)
    plain = _plain(field.kind, value)
    return sql.SQL("{}::text").format(value) if plain is None else sql.SQL("({})").format(plain)


def _json(field: Field, value: sql.Composable) -> sql.Composable:
    if field.kind == "array":
        return _array(field.element or "other", value)
    if field.kind in ("integer", "boolean", "json"):
        return sql.SQL("{}::text").format(value)
    if field.kind == "float":
        return _OWN.format(value)
    if field.kind in ("numeric", "uuid"):
        return _QUOTED.format(sql.SQL("{}::text").format(value))
    plain = _plain(field.kind, value)
    return _STRING.format(value) if plain is None else _QUOTED.format(sql.SQL("({})").format(plain))


def _plain(kind: Kind, value: sql.Composable) -> sql.Composable | None:
    """The text of kinds whose own text is not the wire's."""
    if kind == "timestamp":
        return _moment(value)
    if kind == "timestamptz":
        return _moment(sql.SQL("({} AT TIME ZONE 'UTC')").format(value))
    if kind == "date":
        return _day(value)
    if kind == "bytea":
        return sql.SQL("pg_catalog.translate(pg_catalog.encode({}, 'base64'), E'\\n', '')").format(value)
    return None


def _moment(value: sql.Composable) -> sql.Composed:
    return _MOMENT.format(m=value, year=_YEAR.format(m=value), clock=_CLOCK)


def _day(value: sql.Composable) -> sql.Composed:
    return _DAY.format(m=value, year=_YEAR.format(m=value))


def _array(element: Kind, column: sql.Composable) -> sql.Composable:
    if element in ("integer", "float", "boolean", "json"):
        return _OWN.format(column)
    value = sql.SQL("u.v")
    plain = _plain(element, value)
    if plain is None:
        return sql.SQL("pg_catalog.to_json({}::text[])::text").format(column)
    # More dimensions than one, which nobody has been seen to use for moments, keep PostgreSQL's own text.
    return sql.SQL(
        "CASE WHEN pg_catalog.array_ndims({column}) > 1 THEN pg_catalog.to_json({column}::text[])::text"
        " WHEN {column} IS NOT NULL THEN pg_catalog.to_json(ARRAY(SELECT {plain} FROM"
        " unnest({column}) WITH ORDINALITY AS u(v, n) ORDER BY u.n))::text END"
    ).format(column=column, plain=plain)


_MOMENT_PATTERN: Final = (
    r"^(infinity|-infinity|([0-9]{4}|[+-][0-9]{6})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)$"
)
_SCHEMAS: Final[dict[Kind, dict[str, Any]]] = {
    "numeric": {"type": "string", "format": "decimal", "examples": ["25.4000"]},
    "boolean": {"type": "boolean"},
    "uuid": {"type": "string", "format": "uuid", "examples": ["550e8400-e29b-41d4-a716-446655440000"]},
    "timestamp": {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.123456Z"]},
    "timestamptz": {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.123456Z"]},
    "date": {"type": "string", "format": "date", "examples": ["2026-01-31"]},
    "json": {},
    "bytea": {"type": "string", "contentEncoding": "base64"},
}


def schema(field: Field) -> dict[str, Any]:
    """JSON Schema (2020-12, as OpenAPI 3.1 has it) of a column's values on the wire."""
    found = {} if field.kind == "array" else _schema(field, field.kind)
    if field.kind == "array":
        element = _schema(field, field.element or "other")
        kind = element.get("type")
        if kind is not None:
            element["type"] = [kind, "null"]
        if "enum" in element:
            element["enum"] = [*element["enum"], None]
        found = {"type": "array", "items": element}
    if field.nullable and "type" in found:
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    return found


def _schema(field: Field, kind: Kind) -> dict[str, Any]:
    if kind == "integer":
        limit = 1 << (8 * field.bytes - 1)
        form = {"format": "int64"} if field.bytes == 8 else {"format": "int32"}
        bounds = {"minimum": -limit, "maximum": limit - 1} if field.bytes < 8 else {}
        return {"type": "integer", **form, **bounds}
    if kind == "float":
        return {"type": "number", "format": "float" if field.bytes == 4 else "double"}
    if kind == "enum":
        return {"type": "string", "enum": list(field.labels)}
    if kind in ("text", "other"):
        limits = {"maxLength": field.length} if field.length is not None else {}
        return {"type": "string", **limits}
    return dict(_SCHEMAS[kind])
