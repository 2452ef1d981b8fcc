"""The wire format: one decided form for every type, exact, the same way there and back."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotpeen.records import Field, WireRecords, wire

from .site import Site

pytestmark = pytest.mark.slow

MakeSite = Callable[[str, str], Site]
TABLE = """
CREATE TYPE color AS ENUM ('red', 'green');
CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
CREATE DOMAIN short AS price;
CREATE TABLE thing (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    n numeric, n2 numeric(10,4), i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, b boolean, u uuid,
    t text, v varchar(5), c char(5), ts timestamp, ts3 timestamp(3), tz timestamptz, d date, j json, jb jsonb, x bytea,
    e color, p short, iv interval, ip inet,
    an numeric[], at text[], ai int[], ats timestamp[], atz timestamptz[], ad date[], ab bytea[], ae color[],
    aj jsonb[], af float8[], au uuid[], abool boolean[]
)"""
REGISTRY = "[entities.Thing]\ntable = 'thing'\nprimary_key = 'id'"


@pytest.fixture
def things(make_site: MakeSite) -> Site:
    return make_site(TABLE, REGISTRY)


def body(site: Site, column: str, value: str) -> Any:
    """The JSON of a value that is written as SQL."""
    site.execute(f"DELETE FROM thing; INSERT INTO thing ({column}) VALUES ({value})")
    shape = site.shapes()["Thing"]
    ((uuid,),) = site.execute('SELECT "persistentUuid"::text FROM thing')

    async def ask(records: WireRecords) -> bytes:
        row = await records.one(shape, uuid, fields=(column,), audience="internal")
        assert row is not None
        return row.body

    found = json.loads(site.wire(ask))
    # A schema says what clients are made for; what is not finite, and arrays of arrays, are beyond it.
    if not any(odd in value for odd in ("NaN", "Infinity", "{{")):
        jsonschema.validate(found[column], wire.schema(shape.fields[column]))
    return found[column]


@pytest.mark.parametrize(
    ("column", "value", "wired"),
    [
        ("n", "25.4000", "25.4000"),
        ("n", "'NaN'", "NaN"),
        ("n", "'Infinity'", "Infinity"),
        ("n", "1e-30", "0." + "0" * 29 + "1"),
        ("n2", "25.4", "25.4000"),
        ("i2", "-32768", -32768),
        ("i8", "9223372036854775807", 9223372036854775807),
        ("f8", "0.1", 0.1),
        ("f8", "'NaN'", "NaN"),
        ("f8", "'-Infinity'", "-Infinity"),
        ("f8", "1e300", 1e300),
        ("f4", "0.1", 0.1),
        ("b", "true", True),
        ("u", "'550E8400-E29B-41D4-A716-446655440000'", "550e8400-e29b-41d4-a716-446655440000"),
        ("t", "E'q\"\\n\\u00f8\\\\%'", 'q"\n\u00f8\\%'),
        ("c", "'ab'", "ab"),
        ("ts", "'2026-01-31 12:00:00.123456'", "2026-01-31T12:00:00.123456Z"),
        ("ts", "'2026-01-31'", "2026-01-31T00:00:00.000000Z"),
        ("ts3", "'2026-01-31 12:00:00.5'", "2026-01-31T12:00:00.500000Z"),
        ("tz", "'2026-01-31 12:00:00+02'", "2026-01-31T10:00:00.000000Z"),
        ("tz", "'infinity'", "infinity"),
        ("ts", "'-infinity'", "-infinity"),
        ("ts", "'0044-03-15 12:00:00 BC'", "-000043-03-15T12:00:00.000000Z"),
        ("ts", "'0001-12-31 BC'", "+000000-12-31T00:00:00.000000Z"),
        ("tz", "'294276-12-31 23:59:59.999999+00'", "+294276-12-31T23:59:59.999999Z"),
        ("ts", "'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999Z"),
        ("ts", "'0001-01-01'", "0001-01-01T00:00:00.000000Z"),
        ("d", "'2026-01-31'", "2026-01-31"),
        ("d", "'0044-03-15 BC'", "-000043-03-15"),
        ("d", "'5874897-12-31'", "+5874897-12-31"),
        ("d", "'12026-01-31'", "+012026-01-31"),
        ("d", "'infinity'", "infinity"),
        ("j", "'{\"a\": 1.10}'", {"a": 1.10}),
        ("jb", "'null'", None),
        ("x", "'\\x" + "00ff" * 60 + "'", ("AP8A/wD/" * 100)[:160]),
        ("e", "'green'", "green"),
        ("p", "1.5", "1.50"),
        ("iv", "'1 day'", "1 day"),
        ("ip", "'10.0.0.1'", "10.0.0.1/32"),
        ("an", "'{1.50,NULL,NaN}'", ["1.50", None, "NaN"]),
        ("an", "'{{1.5},{2.5}}'", [["1.5"], ["2.5"]]),
        ("at", "ARRAY['a\"', NULL]", ['a"', None]),
        ("ai", "'{}'", []),
        ("ats", "ARRAY['2026-01-31'::timestamp, NULL, 'infinity']", ["2026-01-31T00:00:00.000000Z", None, "infinity"]),
        ("atz", "'{}'", []),
        ("ats", "'{{2026-01-31}}'", [["2026-01-31 00:00:00"]]),
        ("ad", "'{2026-01-31}'", ["2026-01-31"]),
        ("ab", "ARRAY['\\x00ff'::bytea]", ["AP8="]),
        ("ae", "'{red,NULL}'", ["red", None]),
        ("aj", "ARRAY['{\"a\": 1}'::jsonb]", [{"a": 1}]),
        ("af", "'{0.5,NaN}'", [0.5, "NaN"]),
        ("au", "'{550E8400-E29B-41D4-A716-446655440000}'", ["550e8400-e29b-41d4-a716-446655440000"]),
        ("abool", "'{t,f}'", [True, False]),
        ("t", "NULL", None),
        ("ats", "NULL", None),
    ],
)  # fmt: skip
def test_each_type_has_its_form(things: Site, column: str, value: str, wired: object) -> None:
    assert body(things, column, value) == wired


def test_bytes_pass_through_json_as_postgresql_has_it(things: Site) -> None:
    things.execute('INSERT INTO thing (j, n) VALUES (\'{"a": 1.10,  "b":1e400}\', 1)')
    shape = things.shapes()["Thing"]
    found = things.wire(lambda records: records.find(shape, "1", audience="internal", fields=("j",)))
    assert found.row.body == b'{"j":{"a": 1.10,  "b":1e400}}'


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
moments = st.datetimes(timezones=st.just(UTC))
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.decimals(allow_nan=False, allow_infinity=False, places=12),
        "i8": st.integers(-(2**63), 2**63 - 1),
        "f8": finite,
        "f4": finite.map(lambda x: struct.unpack("f", struct.pack("f", x % 1e30))[0]),
        "t": text,
        "ts": moments,
        "tz": moments,
        "d": st.dates(),
        "x": st.binary(),
        "u": st.uuids(),
        "e": st.sampled_from(["red", "green"]),
        "jb": st.dictionaries(text, st.none() | st.booleans() | text | st.integers(-(2**53), 2**53)),
        "an": st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3)),
        "at": st.lists(st.none() | text),
        "atz": st.lists(st.none() | moments),
        "ab": st.lists(st.none() | st.binary()),
        "ad": st.lists(st.none() | st.dates()),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ROWS)
def test_what_is_written_is_read_again(things: Site, row: dict[str, Any]) -> None:
    made = things.records.create("Thing", row)
    again = things.records.find("Thing", made.key)
    assert {name: again.values[name] for name in row} == row
    assert {name: f"{again.values[name]:f}" for name in row if isinstance(row[name], Decimal)} == {
        name: f"{value:f}" for name, value in row.items() if isinstance(value, Decimal)
    }


def test_moments_that_python_can_not_hold_come_back_as_they_went(things: Site) -> None:
    values = {
        "ts": "infinity",
        "tz": "-000043-03-15T12:00:00.000001Z",
        "d": "+012026-01-31",
        "f8": float("inf"),
    }
    made = things.records.create("Thing", values)
    assert {name: made.values[name] for name in values} == values
    assert things.records.update("Thing", made.key, dict(made.values) and values).values["ts"] == "infinity"
    assert things.records.list("Thing", filters={"tz.lt": datetime(1, 1, 1, tzinfo=UTC)}).total == 1
    assert things.records.list("Thing", filters={"d.gt": date(9999, 12, 31), "f8": float("inf")}).total == 1


def field(kind: Any, **facts: Any) -> Field:
    return Field("f", "f", facts.pop("type", kind), kind, **facts)


@pytest.mark.parametrize(
    ("one", "schema"),
    [
        (field("integer", bytes=2, nullable=False),
         {"type": "integer", "format": "int32", "minimum": -32768, "maximum": 32767}),
        (field("integer"), {"type": ["integer", "null"], "format": "int64"}),
        (field("float", bytes=4, nullable=False), {"type": "number", "format": "float"}),
        (field("text", length=5, nullable=False), {"type": "string", "maxLength": 5}),
        (field("enum", labels=("a",)), {"type": ["string", "null"], "enum": ["a", None]}),
        (field("json"), {}),
        (field("boolean", nullable=False), {"type": "boolean"}),
        (field("array", element="enum", labels=("a",)),
         {"type": ["array", "null"], "items": {"type": ["string", "null"], "enum": ["a", None]}}),
        (field("array", element="json", nullable=False), {"type": "array", "items": {}}),
    ],
)  # fmt: skip
def test_schemas(one: Field, schema: dict[str, Any]) -> None:
    assert wire.schema(one) == schema
