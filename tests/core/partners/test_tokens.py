"""What a token looks like, and that nothing ever tells it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import AuthenticationError
from dotpeen.partners.tokens import ReadToken, matches, new_token, read_client, read_token


@pytest.mark.parametrize("kind", ["client", "access"])
def test_a_token_says_its_kind_and_its_id_and_proves_its_secret(kind: str) -> None:
    token = new_token(kind)  # type: ignore[arg-type]
    assert read_token(token.text) == ReadToken(token.kind, token.id, token.hash)
    assert matches(token.hash, read_token(token.text).hash)


def test_no_two_are_alike() -> None:
    made = [new_token("client") for _ in range(1000)]
    assert len({token.id for token in made}) == len({token.secret for token in made}) == 1000


@given(st.text() | st.from_regex(r"dpa?_[0-9a-z]{15,17}_[A-Za-z0-9_-]{42,44}", fullmatch=True))
def test_any_text_is_a_token_or_malformed(text: str) -> None:
    with suppress(AuthenticationError):
        read = read_token(text)
        assert f"_{read.id}_" in text
        assert text.isascii()


def test_the_error_does_not_repeat_what_is_malformed() -> None:
    secret = new_token("client").secret
    with pytest.raises(AuthenticationError) as caught:
        read_token(f"dp_{secret}")
    assert (caught.value.reason, str(caught.value)) == ("malformed", "the token is not one of Dotpeen's")


@given(st.data())
def test_a_token_with_one_character_changed_is_another_or_none(data: st.DataObject) -> None:
    token = new_token("client")
    place = data.draw(st.integers(0, len(token.text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != token.text[place]))
    try:
        read = read_token(token.text[:place] + other + token.text[place + 1 :])
    except AuthenticationError:
        return
    assert (read.id, read.hash) != (token.id, token.hash)


def test_its_representation_keeps_the_secret() -> None:
    token = new_token("client")
    assert token.secret not in repr(token)
    assert repr(token.hash) not in repr(token)


def test_client_credentials_are_the_id_and_the_secret_or_the_whole_token() -> None:
    token = new_token("client")
    expected = ReadToken("client", token.id, token.hash)
    assert read_client(token.id, token.secret) == expected
    assert read_client(token.id, token.text) == expected


@pytest.mark.parametrize("client_id", ["", "0" * 16, "dp_", "\0"])
@pytest.mark.parametrize("client_secret", ["", "x", "\0", "dp_x", "ä" * 43])
def test_other_client_credentials_are_malformed(client_id: str, client_secret: str) -> None:
    with pytest.raises(AuthenticationError, match="not one of"):
        read_client(client_id, client_secret)


def test_a_token_of_another_client_is_no_secret_of_this_one() -> None:
    with pytest.raises(AuthenticationError):
        read_client(new_token("client").id, new_token("client").text)
