"""What counts as a UUID."""

import re
import string
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dotpeen.identifiers import CANONICAL_UUID_SQL, MAX, NIL, InvalidUuidError, parse_uuid

UUIDS = st.uuids(allow_nil=False).filter(lambda value: value != MAX)
ONE = "550e8400-e29b-41d4-a716-446655440000"


@given(UUIDS, st.lists(st.booleans(), min_size=36, max_size=36))
def test_accepts_any_version_and_variant_in_any_case(value: UUID, upper: list[bool]) -> None:
    mixed = "".join(c.upper() if up else c for c, up in zip(str(value), upper, strict=True))
    assert parse_uuid(mixed) == value


@given(UUIDS)
def test_what_is_stored_is_canonical(value: UUID) -> None:
    assert re.fullmatch(CANONICAL_UUID_SQL, str(parse_uuid(str(value).upper())))


@given(st.text())
def test_refuses_every_other_text(text: str) -> None:
    form = [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assume(not (form and set(text) <= set(string.hexdigits + "-")))
    with pytest.raises(InvalidUuidError) as caught:
        parse_uuid(text)
    assert caught.value.value == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "550e8400e29b41d4a716446655440000",
        "550e8400_e29b_41d4_a716_446655440000",
        "550e-8400e29b-41d4-a716-446655440000",
        "0x50e840-e29b-41d4-a716-446655440000",
        "\uff1550e8400-e29b-41d4-a716-446655440000",
        "550e8400-e29b-41d4-a716-44665544000g",
        f"{{{ONE}}}",
        f"urn:uuid:{ONE}",
        f" {ONE}",
        f"{ONE}\n",
        f"{ONE}0",
    ],
)
def test_refuses_what_uuid_libraries_and_people_tolerate(text: str) -> None:
    with pytest.raises(InvalidUuidError, match="is no UUID: not 8-4-4-4-12 hexadecimal digits"):
        parse_uuid(text)


@pytest.mark.parametrize("value", [NIL, MAX])
def test_refuses_nil_and_max(value: UUID) -> None:
    with pytest.raises(InvalidUuidError, match="identify nothing"):
        parse_uuid(str(value))


def test_is_a_value_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="is no UUID") as caught:
        parse_uuid("PN-1")
    assert isinstance(caught.value, InvalidUuidError)
    assert caught.value.hint == f"a UUID looks like {ONE}"
