"""Values are checked before they are sent: every text either is read or refused, whatever it is."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import InvalidValueError
from dotpeen.records import values
from dotpeen.records.fields import Field

ONE = UUID("550e8400-e29b-41d4-a716-446655440000")


class Color(Enum):
    RED = "red"


def field(kind: Any, **facts: Any) -> Field:
    return Field("f", "f", facts.pop("type", kind), kind, **facts)


ENUM = field("enum", labels=("red", "green"))
INT2 = field("integer", bytes=2, type="smallint")
FLOAT4 = field("float", bytes=4, type="real")


@pytest.mark.parametrize(
    ("one", "text", "read"),
    [
        (field("text"), "", ""),
        (field("text"), "Ø 25/4 %", "Ø 25/4 %"),
        (INT2, "-32768", "-32768"),
        (field("numeric"), "25.4000", "25.4000"),
        (field("numeric"), "NaN", "NaN"),
        (field("float"), "1e-400", "0.0"),
        (field("float"), "25.4", "25.4"),
        (field("float"), "-Infinity", "-Infinity"),
        (FLOAT4, "0.1", "0.10000000149011612"),
        (FLOAT4, "1e-300", "0.0"),
        (field("boolean"), "true", "true"),
        (field("uuid"), str(ONE).upper(), str(ONE)),
        (field("uuid"), "0" * 8 + "-0000" * 3 + "-" + "0" * 12, "00000000-0000-0000-0000-000000000000"),
        (ENUM, "green", "green"),
        (field("bytea"), "AP8=", "\\x00ff"),
        (field("date"), "2026-01-31", "2026-01-31"),
        (field("date"), "infinity", "infinity"),
        (field("date"), "-000043-03-15", "0044-03-15 BC"),
        (field("date"), "+5874897-12-31", "5874897-12-31"),
        (field("timestamp"), "2026-01-31", "2026-01-31 00:00:00.000000"),
        (field("timestamp"), "2026-01-31T12:00:00.5Z", "2026-01-31 12:00:00.500000"),
        (field("timestamp"), "2026-01-31T12:00:00+02:00", "2026-01-31 10:00:00.000000"),
        (field("timestamptz"), "2026-01-31 12:00-0130", "2026-01-31 13:30:00.000000+00"),
        (field("timestamptz"), "2026-01-31t12:00z", "2026-01-31 12:00:00.000000+00"),
        (field("timestamptz"), "-infinity", "-infinity"),
        (field("timestamptz"), "-000043-03-15T12:00:00Z", "0044-03-15 12:00:00.000000+00 BC"),
        (field("timestamptz"), "+294276-12-31T23:59:59.999999Z", "294276-12-31 23:59:59.999999+00"),
        (field("other", type="interval"), "1 day", "1 day"),
    ],
)
def test_texts_of_a_url(one: Field, text: str, read: str) -> None:
    assert values.parse(one, text) == read


@pytest.mark.parametrize(
    ("one", "text", "reason"),
    [
        (field("text"), "a\0b", "NUL"),
        (field("text"), "\ud800", "surrogate"),
        (INT2, "32768", "out of the range of smallint"),
        (INT2, "007", "whole number"),
        (INT2, "1.0", "whole number"),
        (INT2, "\u0661", "whole number"),
        (INT2, "-0", "whole number"),
        (INT2, "9" * 400, "whole number"),
        (field("numeric"), "1e5", "decimal number"),
        (field("numeric"), "1" * 1001, "decimal number"),
        (field("float"), "1e999", "out of the range"),
        (field("float"), "inf", "expected a number"),
        (FLOAT4, "1e300", "out of the range of real"),
        (field("boolean"), "yes", "true or false"),
        (field("uuid"), f"{{{ONE}}}", "expected a UUID"),
        (ENUM, "blue", "expected one of red, green"),
        (field("bytea"), "AP8", "base64"),
        (field("bytea"), "é", "base64"),
        (field("date"), "2026-02-30", "no such day"),
        (field("date"), "31.01.2026", "looks like"),
        (field("date"), "2026-01-31T00:00:00Z", "looks like"),
        (field("date"), "+5874898-01-01", "does not reach"),
        (field("timestamp"), "-004712-11-23T00:00:00Z", "does not reach"),
        (field("timestamp"), "2026-01-31T24:00:00Z", "no such time"),
        (field("timestamp"), "2026-01-31T12:00:60Z", "no such time"),
        (field("timestamp"), "2026-01-31T12:00:00+24:00", "no such offset"),
        (field("timestamp"), "2026-01-31T12:00:00 02:00", "write \\+ as %2B"),
        (field("timestamp"), "+294277-01-01", "does not reach"),
        (field("timestamp"), "0001-01-01T00:00:00+02:00", "in UTC, with Z"),
        (field("timestamp"), "now", "looks like"),
        (field("json"), "{}", "can't be asked for"),
        (field("array"), "{}", "can't be asked for"),
    ],
)
def test_texts_that_are_refused(one: Field, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        values.parse(one, text)


@pytest.mark.parametrize(
    ("one", "value", "written"),
    [
        (field("text"), "x", "x"),
        (field("text", length=3, type="character varying(3)"), "abc  ", "abc  "),
        (field("integer"), 42, "42"),
        (field("numeric", scale=2), Decimal("1.50000"), "1.50000"),
        (field("numeric", scale=-2), 100, "100"),
        (field("numeric"), Decimal("1E+5"), "100000"),
        (field("numeric"), 0.1, "0.1"),
        (field("numeric"), "25.4000", "25.4000"),
        (field("numeric"), Decimal("NaN"), "NaN"),
        (field("float"), 1, "1.0"),
        (field("float"), Decimal("0.5"), "0.5"),
        (field("float"), "2.5", "2.5"),
        (field("float"), math.inf, "Infinity"),
        (field("float"), -math.inf, "-Infinity"),
        (field("float"), math.nan, "NaN"),
        (field("boolean"), False, "false"),
        (field("uuid"), ONE, str(ONE)),
        (field("uuid"), str(ONE), str(ONE)),
        (field("date"), date(2026, 1, 31), "2026-01-31"),
        (field("timestamp"), datetime(2026, 1, 31, 12), "2026-01-31 12:00:00.000000"),
        (
            field("timestamptz"),
            datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-31 10:00:00.000000+00",
        ),
        (field("json"), {"a": [1, "é"]}, '{"a": [1, "é"]}'),
        (field("json"), {"a": [Decimal("1.10"), 2], "b": None}, '{"a": [1.10, 2], "b": null}'),
        (field("bytea"), b"\x00\xff", "\\x00ff"),
        (field("bytea"), "AP8=", "\\x00ff"),
        (ENUM, Color.RED, "red"),
        (field("array", element="text"), ['a"b\\', None, "NULL"], '{"a\\"b\\\\",NULL,"NULL"}'),
        (field("array", element="integer"), ((1, 2), (3, 4)), '{{"1","2"},{"3","4"}}'),
        (field("array", element="json"), [[1], {"a": 1}], '{"[1]","{\\"a\\": 1}"}'),
        (field("other", type="interval"), "1 day", "1 day"),
        (field("text"), None, None),
    ],
)
def test_values_of_python_and_json(one: Field, value: object, written: str | None) -> None:
    assert values.encode(one, value) == written


@pytest.mark.parametrize(
    ("one", "value", "reason"),
    [
        (field("text", nullable=False), None, "must have a value"),
        (field("text"), 5, 'int can\'t be a value of type text: write it as text: "5"'),
        (field("text"), 2**10000, "int can't be a value of type text: write it as text$"),
        (field("text"), True, "bool can't be a value of type text$"),
        (
            field("text", length=3, type="character varying(3)"),
            "abcd",
            "has 4 characters, and character varying",
        ),
        (field("integer"), True, "bool can't be"),
        (field("integer"), 2**70, "out of the range"),
        (field("integer"), 2**10000, "out of the range"),
        (field("integer"), 1.0, "float can't be"),
        (field("numeric", scale=2, type="numeric(10,2)"), "1.001", r"has 3 digits after the point"),
        (field("numeric"), 2**4000, "more digits"),
        (field("numeric"), Decimal("1E+2000"), "expected a decimal"),
        (field("numeric"), "x", "expected a decimal"),
        (field("float"), 10**400, "out of the range"),
        (FLOAT4, 1e300, "out of the range"),
        (field("boolean"), 1, "int can't be"),
        (field("uuid"), "x", "expected a UUID"),
        (field("date"), datetime(2026, 1, 1), "datetime can't be"),
        (field("timestamp"), date(2026, 1, 1), "date can't be"),
        (field("json"), {"a": math.nan}, "nothing that JSON can hold"),
        (field("json"), {1, 2}, "nothing that JSON can hold"),
        (field("json"), [Decimal("Infinity")], "nothing that JSON can hold"),
        (field("float"), Decimal("1E+999"), "out of the range"),
        (field("integer"), Decimal("1.0"), "a decimal number can't be"),
        (field("json"), "a\0", "NUL"),
        (field("bytea"), "*", "base64"),
        (ENUM, "blue", "expected one of"),
        (field("array", element="integer"), "1", "str can't be"),
        (field("array", element="integer"), [[[[[[[1]]]]]]], "more than 6 dimensions"),
        (field("other"), object(), "object can't be"),
    ],
)
def test_values_that_are_refused(one: Field, value: object, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason) as caught:
        values.encode(one, value)
    assert caught.value.field == "f"


KINDS = [
    field(kind)
    for kind in ("text", "integer", "numeric", "float", "boolean", "uuid", "timestamp", "timestamptz", "date", "bytea",
                 "other", "json", "array")
] + [ENUM, INT2, FLOAT4]  # fmt: skip
NEARLY = st.text(alphabet="0123456789+-:.TZe_ infityNa", max_size=40)


@given(st.sampled_from(KINDS), st.text() | NEARLY)
def test_reading_fails_in_one_way_only(one: Field, text: str) -> None:
    try:
        assert isinstance(values.parse(one, text), str)
    except ValueError as error:
        assert str(error)  # noqa: PT017


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from([*KINDS, field("array", element="json"), field("array", element="float")]), JSON)
def test_writing_fails_in_one_way_only(one: Field, value: object) -> None:
    try:
        assert isinstance(values.encode(one, value), str | None)
    except InvalidValueError as error:
        assert error.field == "f"  # noqa: PT017


@pytest.mark.parametrize(
    ("one", "wire", "native"),
    [
        (field("numeric"), "25.4000", Decimal("25.4000")),
        (field("float"), "NaN", math.nan),
        (field("float"), 1, 1.0),
        (field("uuid"), str(ONE), ONE),
        (field("timestamp"), "2026-01-31T12:00:00.123456Z", datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)),
        (field("timestamptz"), "infinity", "infinity"),
        (field("date"), "2026-01-31", date(2026, 1, 31)),
        (field("date"), "-000043-03-15", "-000043-03-15"),
        (field("bytea"), "AP8=", b"\x00\xff"),
        (field("array", element="numeric"), ["1.0", None], [Decimal("1.0"), None]),
        (field("array", element="integer"), [[1], [2]], [[1], [2]]),
        (field("json"), {"a": 1}, {"a": 1}),
        (field("text"), None, None),
    ],
)
def test_from_the_wire_to_python(one: Field, wire: object, native: object) -> None:
    decoded = values.decode(one, wire)
    assert type(decoded) is type(native)
    assert decoded == native or (isinstance(native, float) and math.isnan(native))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00Z"),
        (datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),
        (date(2026, 1, 31), "2026-01-31"),
        (Decimal("1E+2"), "100"),
        (Decimal("NaN"), "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        (0.5, "0.5"),
        (b"\x00\xff", "AP8="),
        (Color.RED, "red"),
        (ONE, str(ONE)),
        (42, "42"),
    ],
)
def test_python_values_as_a_url_has_them(value: object, text: str) -> None:
    assert values.as_text(value) == text
