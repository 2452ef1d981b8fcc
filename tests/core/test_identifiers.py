"""What counts as a UUID, and what merely looks like an identifier."""

import re
import string
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dotpeen.identifiers import (
    CANONICAL_UUID_SQL,
    MAX,
    NIL,
    InvalidCompositeError,
    InvalidUuidError,
    canonical_uuid,
    canonical_uuids,
    is_cuid,
    is_cuid2,
    join_composite,
    new_cuid,
    new_cuid2,
    parse_uuid,
    read_uuid,
    split_composite,
)

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


LIKE_UUIDS = st.one_of(
    UUIDS.map(str),
    UUIDS.map(lambda value: str(value).upper()),
    st.sampled_from(["", ",", ONE[:-1], ONE + "0", f"{ONE},{ONE}", ONE.replace("-", ","), f" {ONE[1:]}"]),
    st.sampled_from(
        [f"{ONE[:8]} {ONE[9:]}", f"{ONE[:35]}\n", ONE.replace("5", "\uff15", 1), str(NIL), str(MAX)]
    ),
    st.text(st.sampled_from("0f-, \n"), max_size=75),
)


@given(st.lists(LIKE_UUIDS, max_size=5))
def test_many_are_read_as_each_by_itself(texts: list[str]) -> None:
    def read(many: Callable[[], list[str]]) -> list[str] | tuple[str, str]:
        try:
            return many()
        except InvalidUuidError as error:
            return error.value, error.reason

    assert read(lambda: canonical_uuids(texts)) == read(lambda: [canonical_uuid(text) for text in texts])


@pytest.mark.parametrize("value", [NIL, MAX])
def test_refuses_nil_and_max(value: UUID) -> None:
    with pytest.raises(InvalidUuidError, match="identify nothing"):
        parse_uuid(str(value))


def test_is_a_value_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="is no UUID") as caught:
        parse_uuid("PN-1")
    assert isinstance(caught.value, InvalidUuidError)
    assert caught.value.hint == f"a UUID looks like {ONE}"


@given(st.text(alphabet="0123456789abcdefABCDEF-_{}x \uff11\u0661", min_size=30, max_size=45))
def test_refuses_what_python_and_postgresql_would_take(text: str) -> None:
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text, re.ASCII):
        return
    with pytest.raises(InvalidUuidError):
        parse_uuid(text)


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        ONE.upper(),
        f"urn:uuid:{ONE}",
        f"URN:UUID:{ONE.upper()}",
        f"{{{ONE}}}",
        f"  {{ {ONE} }}\n",
        f"\t{ONE}\u00a0",
        f"\ufeff{ONE}",
    ],
)
def test_files_and_people_write_uuids_in_several_ways(text: str) -> None:
    assert read_uuid(text) == UUID(ONE)


@pytest.mark.parametrize(
    "text", [f"{{{ONE}", f"{ONE}}}", f"urn:{ONE}", f"urn:uuid:{{{ONE}}}", f"({ONE})", "{}", ""]
)
def test_other_wrappings_are_no_uuid(text: str) -> None:
    with pytest.raises(InvalidUuidError) as caught:
        read_uuid(text)
    assert caught.value.value == text


@given(st.text())
def test_reading_never_fails_otherwise(text: str) -> None:
    try:
        assert isinstance(read_uuid(text), UUID)
    except InvalidUuidError as error:
        assert error.value == text  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "cuid", "cuid2"),
    [
        ("cl9ebqhxk00008eqf0c2y6u2d", True, False),
        ("tz4a98xxat96iws9zmbrgj3a", False, True),
        ("bracket-for-a-long-shaft", False, False),
        ("bracketforalongshaftnr42", False, True),
        ("Cl9ebqhxk00008eqf0c2y6u2d", False, False),
        ("cl9ebqhxk00008eqf0c2y6u2\u0661", False, False),
        ("cl9ebqhxk00008eqf0c2y6u2d\n", False, False),
        ("9z4a98xxat96iws9zmbrgj3a", False, False),
        ("bracket", False, False),
    ],
)
def test_forms_of_cuids_are_hints(text: str, *, cuid: bool, cuid2: bool) -> None:
    assert (is_cuid(text), is_cuid2(text)) == (cuid, cuid2)


def test_new_cuids_have_the_form_and_sort_by_time() -> None:
    made = [new_cuid() for _ in range(100)]
    assert all(map(is_cuid, made))
    assert len(set(made)) == 100
    assert made[0][:9] <= made[-1][:9]
    assert all(is_cuid2(new_cuid2()) for _ in range(100))


@given(st.lists(st.text(), min_size=1))
def test_composites_come_apart_as_they_were_joined(parts: list[str]) -> None:
    assert split_composite(join_composite(parts)) == tuple(parts)


def test_composites_escape_what_joins_them() -> None:
    assert join_composite(["a:b", "50%", "c"]) == "a%3Ab:50%25:c"
    assert split_composite("a%3ab:50%25:c") == ("a:b", "50%", "c")
    assert split_composite("") == ("",)


@pytest.mark.parametrize("text", ["50%", "a%20b:c", "a:%", "%253A%", "%3"])
def test_no_other_escapes(text: str) -> None:
    with pytest.raises(InvalidCompositeError) as caught:
        split_composite(text)
    assert caught.value.value == text
