"""Lists: every record once, in one order, however many pages, NULLs and writers there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotpeen.database import connect
from dotpeen.records import PageQuery, pages
from dotpeen.records.lookup import page
from dotpeen.records.records import answered

from .site import Site

pytestmark = pytest.mark.slow

MakeSite = Callable[[str, str], Site]
TABLE = """
CREATE TABLE lot (id int PRIMARY KEY, number text NOT NULL UNIQUE, quantity numeric, due timestamptz, kind text);
INSERT INTO lot SELECT n, 'L' || n, NULLIF(n % 7, 0) / 2.0, CASE WHEN n % 5 > 0 THEN '2026-01-01'::timestamptz
       + (n % 11) * interval '1 hour 1 microsecond' END, NULLIF('k' || n % 3, 'k0') FROM generate_series(1, 97) AS n
"""  # fmt: skip
REGISTRY = """
[entities.Lot]
table = 'lot'
business_id = 'number'
expose = ['quantity', 'due', 'kind']
filters = ['kind', 'quantity']
"""


@pytest.fixture(params=["", "uuid = { storage = 'sidecar' }", "uuid = { column = 'u', type = 'text' }"])
def lots(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    return make_site(TABLE, REGISTRY + request.param)


SORTS = [
    list(signed)
    for names in [(), ("number",), ("quantity",), ("due", "kind"), ("kind", "due", "quantity")]
    for signed in itertools.product(*[(name, f"-{name}") for name in names])
]


def test_every_order_over_many_pages_is_the_order_of_one(lots: Site) -> None:
    for sort in SORTS:
        whole = [one.key for one in lots.records.list("Lot", sort=sort, limit=500).records]
        assert sorted(whole, key=int) == [str(n) for n in range(1, 98)]
        for limit in (1, 10) if len(sort) < 2 else (13,):
            assert [one.key for one in lots.all("Lot", sort=sort, limit=limit)] == whole, sort


def test_nulls_are_last_and_first_when_descending(lots: Site) -> None:
    up = [one.values["quantity"] for one in lots.records.list("Lot", sort=["quantity"], limit=500).records]
    down = [one.values["quantity"] for one in lots.records.list("Lot", sort=["-quantity"], limit=500).records]
    filled = [one for one in up if one is not None]
    assert up == sorted(filled) + [None] * 13
    assert down == [None] * 13 + sorted(filled, reverse=True)


def test_total_is_counted_once_and_the_offset_goes_along(lots: Site) -> None:
    first = lots.records.list("Lot", filters={"kind": ["k1", "k2"]}, limit=10)
    lots.execute("DELETE FROM lot WHERE id = ANY(%s)", [[int(one.key) for one in first.records]])
    second = lots.records.list("Lot", filters={"kind": ["k1", "k2"]}, limit=10, cursor=first.next_cursor)
    assert (first.total, first.offset, second.total, second.offset) == (65, 0, 65, 10)
    assert lots.records.list("Lot", filters={"kind": {"k1", "k2"}}, limit=10).total == 55
    # Which ten went is chance: 22 to 33 of this kind are left.
    last = lots.records.list("Lot", filters={"kind": "k1"}, offset=20, limit=20)
    assert (len(last.records), last.has_more, last.next_cursor) == (last.total - 20, False, None)


def test_records_that_were_there_come_once_while_others_are_inserted(lots: Site) -> None:
    before = {one.key for one in lots.all("Lot", limit=500)}
    numbers = itertools.count(1000)
    for sort in ([], ["-due"], ["kind", "-quantity"]):
        seen: list[str] = []
        cursor = None
        while True:
            found = lots.records.list("Lot", sort=sort, limit=5, cursor=cursor)
            seen += [one.key for one in found.records]
            for _ in range(3):
                n = next(numbers)
                lots.execute(
                    "INSERT INTO lot (id, number, quantity, due, kind) VALUES (%s, %s, %s, now(), %s)",
                    [n, f"L{n}", n % 9 / 2 or None, f"k{n % 4}" if n % 4 else None],
                )
            cursor = found.next_cursor
            if cursor is None:
                break
        assert [key for key in seen if int(key) < 1000 and seen.count(key) != 1] == []
        assert before <= set(seen)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.none() | st.text("ab\\\"'%,{} é", max_size=3),
            st.none() | st.floats() | st.sampled_from([0.0, -0.0]),
        ),
        max_size=8,
    ),
    st.permutations(["t", "f"]),
    st.tuples(st.booleans(), st.booleans()),
)  # fmt: skip
def test_any_values_keep_their_place(
    odd: Site, rows: list[tuple[Any, Any]], names: list[str], down: tuple[bool, bool]
) -> None:
    odd.execute("DELETE FROM odd")
    for row in rows:
        odd.records.create("Odd", {"t": row[0], "f": row[1]})
    sort = [f"-{name}" if minus else name for name, minus in zip(names, down, strict=True)]
    whole = [one.key for one in odd.records.list("Odd", sort=sort).records]
    assert len(whole) == len(rows)
    assert [one.key for one in odd.all("Odd", sort=sort, limit=1)] == whole
    for text, number in rows:
        if text is not None:
            assert odd.records.list("Odd", filters={"t": text}).total >= 1
        if number is not None:
            assert odd.records.list("Odd", filters={"f": [number, 1.5]}).total >= 1


@pytest.fixture
def odd(make_site: MakeSite) -> Site:
    return make_site(
        "CREATE TABLE odd (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, f float8)",
        "[entities.Odd]\ntable = 'odd'",
    )


def test_by_the_types_that_are_rare(make_site: MakeSite) -> None:
    if not _has_citext(make_site):
        pytest.skip("this server has no citext")
    site = make_site(
        "CREATE EXTENSION IF NOT EXISTS citext; CREATE TYPE color AS ENUM ('red', 'green', 'blue');"
        "CREATE TABLE odd (id int PRIMARY KEY, name citext UNIQUE, color color, held boolean, span interval,"
        " raw bytea, "
        "doc jsonb, ref uuid, day date, r real);"
        " INSERT INTO odd VALUES (1, 'Ab', 'red', true, '1 day', '\\x00', '{}', '550e8400-e29b-41d4-a716-446655440000',"
        " '2026-01-31', 0.1), (2, 'cd', 'blue', false, '2 days', '\\x01', '[]', '00000000-0000-0000-0000-000000000000',"
        " 'infinity', 'NaN'), (3, NULL, 'green', NULL, NULL, NULL, NULL, NULL, '0044-03-15 BC', NULL)"
        "[entities.Odd]\ntable = 'odd'\nbusiness_id = 'name'",
    )
    records = site.records

    def keys(**filters: Any) -> list[str]:
        return [one.key for one in records.list("Odd", filters=filters, sort=["id"]).records]

    assert records.find("Odd", "aB").key == "1"
    assert keys(name=["AB", "CD"]) == ["1", "2"]
    assert keys(**{"name.gte": "B"}) == ["2"]
    assert keys(color=["red", "blue"]) == ["1", "2"]
    assert keys(**{"color.gt": "red"}) == ["2", "3"]
    assert (keys(held=True), keys(span="1 day"), keys(raw=b"\x00"), keys(r=0.1)) == (
        ["1"],
        ["1"],
        ["1"],
        ["1"],
    )
    assert keys(ref="00000000-0000-0000-0000-000000000000") == ["2"]
    for name in ("name", "color", "held", "ref", "day", "r"):
        whole = [one.key for one in records.list("Odd", sort=[name]).records]
        assert [one.key for one in site.all("Odd", sort=[name], limit=1)] == whole


def _has_citext(make_site: MakeSite) -> bool:
    site = make_site("CREATE TABLE x (id int PRIMARY KEY)", "[entities.X]\ntable = 'x'")
    return bool(site.execute("SELECT FROM pg_available_extensions WHERE name = 'citext'"))


def test_a_page_begins_where_the_last_one_ended(make_site: MakeSite) -> None:
    """By an index, not by counting up to it."""
    site = make_site(
        "CREATE TABLE lot (id int PRIMARY KEY, at timestamptz NOT NULL);"
        " INSERT INTO lot SELECT n, '2026-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, 20000) AS n;"
        " CREATE INDEX ON lot (at)",
        "[entities.Lot]\ntable = 'lot'\nexpose = ['at']",
    )
    site.execute("ANALYZE lot")
    shape = site.shapes()["Lot"]
    with connect(site.url, purpose="test") as session:
        for sort in ([], [("sort", "at")], [("sort", "-at")]):
            query = PageQuery.parse(shape, "external", [*sort, ("offset", "15000"), ("limit", "1")])
            cursor = answered(session, page(shape, query, audience="external")).next_cursor or ""
            query = PageQuery.parse(shape, "external", [*sort, ("cursor", cursor), ("limit", "10")])
            statement, parameters = pages.page(shape, query, "external")
            explained = session.execute(b"EXPLAIN (ANALYZE, COSTS off) " + statement.as_bytes(), parameters)
            plan = "\n".join(line for (line,) in explained)
            assert "Index Cond" in plan, plan
            assert "Seq Scan" not in plan
