"""What a scope is, and what it allows."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import PartnerError, ScopeError
from dotpeen.partners import RateLimit, Scope
from dotpeen.partners.scopes import VERBS, allows, check_entities, narrow, parse_scopes, write_scopes

from .site import grant

entities = st.sampled_from(["Part", "WorkOrder", "MaterialLot"])
verbs = st.sampled_from(VERBS)
scopes = st.builds(Scope, entities | st.just("*"), verbs)
some_scopes = st.frozensets(scopes)


@given(scopes)
def test_a_scope_is_read_as_it_is_written(scope: Scope) -> None:
    assert Scope.parse(str(scope)) == scope


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with suppress(PartnerError):
        assert str(Scope.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Part",
        "Part:",
        ":read",
        "Part:READ",
        "Part:read ",
        "Part:read\n",
        "Pärt:read",
        "**:read",
        "Part:*",
        "Part:delete",
    ],
)
def test_what_looks_like_a_scope_and_is_none(text: str) -> None:
    with pytest.raises(PartnerError):
        Scope.parse(text)


def test_a_slip_in_the_verb_names_what_was_meant() -> None:
    with pytest.raises(PartnerError) as caught:
        Scope.parse("Part:raed")
    assert caught.value.hint == "did you mean 'Part:read'? verbs: read, write"


def test_a_slip_in_the_entity_names_what_was_meant() -> None:
    with pytest.raises(PartnerError) as caught:
        check_entities(parse_scopes(["*:read", "workorder:read"]), ["Part", "WorkOrder"])
    assert caught.value.message == "'workorder:read': no entity 'workorder' in the registry"
    assert caught.value.hint == "did you mean WorkOrder? registered entities: Part, WorkOrder"


def test_no_scope_at_all_is_a_mistake() -> None:
    with pytest.raises(PartnerError):
        parse_scopes([])


@given(some_scopes, entities, verbs)
def test_a_scope_allows_its_entity_and_its_verb_and_nothing_else(
    held: frozenset[Scope], entity: str, verb: str
) -> None:
    assert allows(held, entity, verb) == bool({f"{entity}:{verb}", f"*:{verb}"} & set(write_scopes(held)))


@given(some_scopes, some_scopes, entities, verbs)
def test_narrowed_scopes_allow_what_both_allow(
    held: frozenset[Scope], wanted: frozenset[Scope], entity: str, verb: str
) -> None:
    both = allows(held, entity, verb) and allows(wanted, entity, verb)
    assert allows(narrow(held, wanted), entity, verb) == both


def test_a_grant_names_the_scope_that_is_missing() -> None:
    reader = grant(limit=RateLimit(1, 1))
    reader.require("Part", "read")
    with pytest.raises(ScopeError) as caught:
        reader.require("Part", "write")
    assert caught.value.scope == "Part:write"
