"""What a list is asked for: whatever a URL says is understood or refused; PostgreSQL never sees what is wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dotpeen.errors import InvalidQueryError
from dotpeen.records import Audience, PageQuery, Shape, Shapes, WirePage
from dotpeen.records.lookup import page
from dotpeen.records.records import answered

from .site import Site
from .test_shape import EXPOSED

Params = list[tuple[str, str]]
AUDIENCES: tuple[Audience, ...] = ("external", "internal")


@pytest.fixture(scope="module")
def shapes(mes: Site) -> Shapes:
    return mes.shapes()


@pytest.fixture(scope="module")
def session(mes: Site) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(mes.url, autocommit=True) as connection:
        yield connection


def ask(
    session: psycopg.Connection[Any], shape: Shape, params: Params, audience: Audience = "external"
) -> WirePage:
    return answered(session, page(shape, PageQuery.parse(shape, audience, params), audience=audience))


def bodies(found: WirePage) -> list[dict[str, Any]]:
    return [json.loads(body) for body in found.rows]


@pytest.mark.parametrize("entity", EXPOSED)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_filter_and_order_of_every_entity(
    shapes: Shapes, session: psycopg.Connection[Any], entity: str, audience: Audience
) -> None:
    shape = shapes[entity]
    first = bodies(ask(session, shape, [("limit", "1")], audience))[0]
    for name in shape.narrowed[audience]:
        if first.get(name) is None:
            continue
        text = str(first[name]).lower() if isinstance(first[name], bool) else str(first[name])
        found = ask(session, shape, [(name, text), ("limit", "500")], audience)
        assert found.total >= 1
        assert all(one[name] == first[name] for one in bodies(found))
    for name in shape.sortable(audience):
        up = bodies(ask(session, shape, [("sort", name), ("limit", "500")], audience))
        down = bodies(ask(session, shape, [("sort", f"-{name}"), ("limit", "500")], audience))
        ordered = [one[name] for one in up if one[name] is not None]
        assert [one[name] for one in down][::-1][: len(ordered)] == ordered[: len(down)] or len(up) == 500


def test_several_values_ranges_and_links(shapes: Shapes, session: psycopg.Connection[Any]) -> None:
    results = shapes["QIFMeasurementResult"]
    every = bodies(ask(session, results, [("limit", "500"), ("sort", "measuredAt")]))
    moments = [one["measuredAt"] for one in every]
    first, last = moments[10], moments[20]
    between = bodies(
        ask(session, results, [("measuredAt.gte", first), ("measuredAt.lt", last), ("sort", "measuredAt")])
    )
    assert [one["measuredAt"] for one in between] == [one for one in moments if first <= one < last]
    both = ask(session, results, [("status", "PASS"), ("status", "FAIL"), ("status", "PASS")])
    assert both.total == ask(session, results, []).total
    serial = every[0]["serializedPartUuid"]
    assert {
        one["serializedPartUuid"] for one in bodies(ask(session, results, [("serializedPartUuid", serial)]))
    } == {serial}
    two = [("serializedPartUuid", serial), ("serializedPartUuid", every[1]["serializedPartUuid"])]
    assert {one["serializedPartUuid"] for one in bodies(ask(session, results, two))} == {
        uuid for _, uuid in two
    }
    inside = bodies(ask(session, results, [("persistentUuid", every[0]["persistentUuid"])], "internal"))
    assert len(inside) == 1


def test_fields_limit_and_offset(shapes: Shapes, session: psycopg.Connection[Any]) -> None:
    parts = shapes["Part"]
    found = ask(session, parts, [("fields", "status, partNumber"), ("limit", "3"), ("offset", "2")])
    assert all(list(one) == ["partNumber", "status"] for one in bodies(found))
    assert (found.limit, found.offset, len(found.rows), found.has_more) == (3, 2, 3, True)
    everything = ask(session, parts, [("fields", "partNumber")])
    assert found.total == everything.total == len(everything.rows)
    assert [one["partNumber"] for one in bodies(found)] == [one["partNumber"] for one in bodies(everything)][
        2:5
    ]
    beyond = ask(session, parts, [("offset", "2147483647")])
    assert (beyond.rows, beyond.total, beyond.has_more, beyond.next_cursor) == (
        [],
        everything.total,
        False,
        None,
    )
    order = bodies(
        ask(session, shapes["WorkOrder"], [("fields", "partUuid,id"), ("limit", "1")], "internal")
    )[0]
    assert set(order) == {"partUuid", "id"}


@pytest.mark.parametrize(
    ("params", "parameter", "message"),
    [
        ([("nothing", "x")], "nothing", "can be narrowed by partNumber, status, materialType"),
        ([("id", "x")], "id", "can be narrowed by"),
        ([("description", "x")], "description", "can be narrowed by"),
        ([("status.like", "x")], "status.like", "status alone, or with .gte, .gt, .lte, .lt"),
        ([("status.gte", "a"), ("status.gte", "b")], "status.gte", "more than once"),
        ([("status", "a\0b")], "status", "NUL"),
        ([("sort", "id")], "sort", "no field 'id'"),
        ([("sort", "createdAt")], "sort", "no field 'createdAt'"),
        ([("sort", "status,-status")], "sort", "names status twice"),
        ([("sort", "--status")], "sort", "no field '-status'"),
        ([("fields", "id")], "fields", "no field 'id'"),
        ([("limit", "0")], "limit", "from 1 to 500"),
        ([("limit", "501")], "limit", "from 1 to 500"),
        ([("limit", "1e2")], "limit", "from 1 to 500"),
        ([("limit", "\u0661")], "limit", "from 1 to 500"),
        ([("limit", "")], "limit", "from 1 to 500"),
        ([("limit", "1"), ("limit", "1")], "limit", "more than once"),
        ([("offset", "-1")], "offset", "from 0 to 2147483647"),
        ([("offset", "9999999999")], "offset", "from 0 to"),
        ([("cursor", "")], "cursor", "no cursor of this list"),
        ([("", "")], "", "can be narrowed by"),
    ],
)
def test_wrong_parameters_are_named(shapes: Shapes, params: Params, parameter: str, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message) as caught:
        PageQuery.parse(shapes["Part"], "external", params)
    assert caught.value.parameter == parameter


def test_limits_of_a_query(shapes: Shapes) -> None:
    order, result = shapes["WorkOrder"], shapes["QIFMeasurementResult"]
    with pytest.raises(InvalidQueryError, match="no more than 500 values"):
        PageQuery.parse(order, "external", [("status", str(n)) for n in range(501)])
    names = list(order.sortable("internal"))
    with pytest.raises(InvalidQueryError, match="no more than 8 fields"):
        PageQuery.parse(order, "internal", [("sort", ",".join(names))])
    with pytest.raises(InvalidQueryError, match="has no order"):
        PageQuery.parse(result, "external", [("characteristicUuid.gt", "x")])
    with pytest.raises(InvalidQueryError, match="no UUID"):
        PageQuery.parse(result, "external", [("characteristicUuid", "clf600000zkse0hcxzkitakr4")])
    with pytest.raises(InvalidQueryError, match="no field 'characteristicUuid' to sort by"):
        PageQuery.parse(result, "external", [("sort", "characteristicUuid")])
    with pytest.raises(InvalidQueryError, match="no field 'characteristicId' to sort by"):
        PageQuery.parse(result, "external", [("sort", "characteristicId")])


NAMES = st.sampled_from(
    ["status", "quantity", "dueDate", "createdAt", "partUuid", "partId", "id", "workOrderNumber", "persistentUuid",
     "sort", "fields", "limit", "offset", "cursor", "customerId"]
)  # fmt: skip
OPERATORS = st.sampled_from(["", ".gte", ".gt", ".lte", ".lt", ".eq", ".x"])
VALUES = (
    st.text(max_size=30)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.datetimes().map(str)
    | st.uuids().map(str)
    | st.lists(NAMES, max_size=3).map(",".join)
    | st.sampled_from(
        ["' OR 1=1 --", "%s", "$1", "\\", "infinity", "99999999999999999999", "NaN", "{}", "\0", "\ud800"]
    )
)
PARAMS = st.lists(
    st.tuples(st.builds("".join, st.tuples(NAMES, OPERATORS)) | st.text(max_size=8), VALUES), max_size=5
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(PARAMS, st.sampled_from(AUDIENCES))
@example([("dueDate.gte", "-004712-11-24T00:00:00Z"), ("quantity", "-2147483648")], "internal")
@example(
    [("status", "Ø\\\"'%"), ("status", "{,}"), ("workOrderNumber", ""), ("sort", "-dueDate,status")],
    "external",
)
def test_no_query_of_a_url_fails_in_postgresql(
    shapes: Shapes, session: psycopg.Connection[Any], params: Params, audience: Audience
) -> None:
    try:
        found = ask(session, shapes["WorkOrder"], params, audience)
    except InvalidQueryError:
        return
    assert len(found.rows) <= found.limit
    assert found.total >= len(found.rows)


def test_columns_named_like_parameters_are_asked_for_by_eq(make_site: Any) -> None:
    site = make_site(
        'CREATE TABLE part (id int PRIMARY KEY, "limit" int, "a.gte" text);'
        ' INSERT INTO part VALUES (1, 5, \'x\'), (2, 6, \'y\')',
        "[entities.Part]\ntable = 'part'\nexpose = ['limit', 'a.gte']\nfilters = ['limit', 'a.gte']",
    )  # fmt: skip
    shape = site.shapes()["Part"]

    def total(*params: tuple[str, str]) -> int:
        return ask(site.connection, shape, list(params)).total

    assert (
        total(("limit.eq", "5")) == total(("a.gte", "y")) == total(("limit.gt", "5"), ("a.gte.lt", "z")) == 1
    )


# Cursors


def cursor_of(
    session: psycopg.Connection[Any], shape: Shape, params: Params, audience: Audience = "external"
) -> str:
    cursor = ask(session, shape, [*params, ("limit", "2")], audience).next_cursor
    assert cursor is not None
    return cursor


@pytest.fixture(scope="module")
def cursor(session: psycopg.Connection[Any], shapes: Shapes) -> str:
    return cursor_of(session, shapes["WorkOrder"], [("sort", "-dueDate")])


def test_a_cursor_is_good_for_its_own_list_only(
    shapes: Shapes, session: psycopg.Connection[Any], cursor: str
) -> None:
    orders = shapes["WorkOrder"]
    again = ask(
        session, orders, [("sort", "-dueDate"), ("cursor", cursor), ("limit", "7"), ("fields", "status")]
    )
    assert (again.offset, len(again.rows)) == (2, 7)
    for params in (
        [],
        [("sort", "dueDate")],
        [("sort", "-dueDate,status")],
        [("sort", "-dueDate"), ("status", "x")],
    ):
        with pytest.raises(InvalidQueryError, match="cursor"):
            ask(session, orders, [*params, ("cursor", cursor)])
    with pytest.raises(InvalidQueryError, match="cursor"):
        ask(session, orders, [("sort", "-dueDate"), ("cursor", cursor)], "internal")
    with pytest.raises(InvalidQueryError, match="cursor"):
        ask(session, shapes["Part"], [("cursor", cursor)])
    with pytest.raises(InvalidQueryError, match="give one of the two"):
        ask(session, orders, [("sort", "-dueDate"), ("cursor", cursor), ("offset", "0")])


def test_a_cursor_has_nothing_in_it_that_the_page_does_not_show(
    mes: Site, shapes: Shapes, session: psycopg.Connection[Any]
) -> None:
    keys = {key for (key,) in mes.execute('SELECT id FROM "WorkOrder" UNION ALL SELECT id FROM "Part"')}
    for name in shapes["WorkOrder"].sortable("external"):
        found = ask(session, shapes["WorkOrder"], [("sort", name), ("limit", "1")])
        assert found.next_cursor is not None
        text = base64.urlsafe_b64decode(found.next_cursor + "===").decode()
        assert not any(key in text for key in keys)
        _, total, offset, position = json.loads(text)
        assert (total, offset) == (found.total, 1)
        shown = {str(value) for value in bodies(found)[0].values()} | {None}
        assert set(position) <= shown


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cursor_that_was_tampered_with_is_refused_or_harmless(
    shapes: Shapes, session: psycopg.Connection[Any], cursor: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(cursor)))
    tampered = data.draw(
        st.sampled_from(
            [cursor[:at], cursor[:at] + "A" + cursor[at + 1 :], cursor + "A", cursor[::-1], cursor[at:]]
        )
        | st.text(max_size=50)
    )
    try:
        ask(session, shapes["WorkOrder"], [("sort", "-dueDate"), ("cursor", tampered)])
    except InvalidQueryError as error:
        assert error.parameter == "cursor"  # noqa: PT017


POSITIONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(total=POSITIONS, offset=POSITIONS, position=POSITIONS)
@example(total=5, offset=5, position=["now", "550e8400-e29b-41d4-a716-446655440000"])
@example(total=5, offset=5, position=[None, "550e8400-e29b-41d4-a716-446655440000"])
@example(total=5, offset=5, position=["2026-01-01T00:00:00Z", "clf600000zkse0hcxzkitakr4"])
@example(total=True, offset=5, position=[None, "550e8400-e29b-41d4-a716-446655440000"])
def test_a_cursor_that_was_made_up_is_refused_or_harmless(
    shapes: Shapes, session: psycopg.Connection[Any], cursor: str, total: Any, offset: Any, position: Any
) -> None:
    digest = json.loads(base64.urlsafe_b64decode(cursor + "==="))[0]
    made_up = (
        base64.urlsafe_b64encode(json.dumps([digest, total, offset, position]).encode()).decode().rstrip("=")
    )
    try:
        ask(session, shapes["WorkOrder"], [("sort", "-dueDate"), ("cursor", made_up)])
    except InvalidQueryError as error:
        assert error.parameter == "cursor"  # noqa: PT017


def test_a_cursor_can_not_blow_up_its_reader(shapes: Shapes) -> None:
    for text in ("[" * 12000, "A" * 20000, '{"a":' * 2000, "1" * 5000):
        made_up = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        with pytest.raises(InvalidQueryError, match="no cursor of this list"):
            PageQuery.parse(shapes["Part"], "external", [("cursor", made_up)])
