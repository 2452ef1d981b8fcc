"""Parameters in PostgreSQL's binary format: the server reads what was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus

from dotpeen.database.arrays import (
    BINARY,
    float_array,
    moment_array,
    text_array,
    uuid_array,
    uuid_bytes_array,
)

Read = Callable[[str, bytes], list[str]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
asked = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def read(server_url: str) -> Iterator[Read]:
    """Asks PostgreSQL for the elements of an array."""
    with psycopg.connect(server_url, autocommit=True) as connection:

        def elements(kind: str, array: bytes) -> list[str]:
            result = connection.pgconn.exec_params(
                f"SELECT e FROM unnest($1::{kind}[]) WITH ORDINALITY AS u (e, n) ORDER BY n".encode(),
                [array],
                param_formats=[BINARY],
            )
            assert result.status == ExecStatus.TUPLES_OK, result.error_message
            return [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]

        yield elements


@asked
@given(st.lists(st.uuids(), max_size=20))
def test_uuids(read: Read, values: list[Any]) -> None:
    texts = [str(value) for value in values]
    assert read("uuid", uuid_array(texts)) == texts
    assert read("uuid", uuid_array([value.hex for value in values])) == texts
    assert read("uuid", uuid_bytes_array([value.bytes for value in values])) == texts


@asked
@given(st.lists(st.text(), max_size=10) | st.lists(st.text(st.sampled_from("ab01"), min_size=3, max_size=3)))
def test_texts(read: Read, values: list[str]) -> None:
    held = [value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() for value in values]
    assert read("text", text_array(values)) == held


def test_texts_that_are_all_the_same_or_of_one_length(read: Read) -> None:
    for values in ([""], ["same"] * 3, ["Ø1", "Ø2"], ["one", "two"], ["a\0b", "c\0d"], ["\ud800"] * 2):
        held = [value.replace("\0", "\ufffd").replace("\ud800", "?") for value in values]
        assert read("text", text_array(values)) == held


@asked
@given(st.lists(st.integers(0, 4_000_000_000_000_000), max_size=10))
def test_moments(read: Read, values: list[int]) -> None:
    found = [datetime.fromisoformat(text) for text in read("timestamptz", moment_array(values))]
    assert found == [EPOCH + timedelta(microseconds=value) for value in values]


@asked
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=10))
def test_floats(read: Read, values: list[float]) -> None:
    assert [float(text) for text in read("float8", float_array(values))] == values
