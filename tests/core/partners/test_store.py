"""Partners as the administrator keeps them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.database import connect
from dotpeen.errors import PartnerError, PartnerRevokedError
from dotpeen.partners import RateLimit, store
from dotpeen.partners.partner import clean_name, name_key
from dotpeen.partners.scopes import parse_scopes

from .site import Site


def test_a_partner_is_kept_as_it_was_added(site: Site) -> None:
    issued = site.add("Acme", "Part:read", "*:read", limit=RateLimit(600, 60), expires_in=timedelta(days=90))
    (partner,) = store.list_all(site.connection)
    assert partner == issued.partner
    assert (partner.name, partner.scopes, partner.limit) == (
        "Acme",
        ("*:read", "Part:read"),
        RateLimit(600, 60),
    )
    assert (partner.created_by, partner.status) == ("ada", "active")
    (token,) = partner.tokens
    assert token.id == issued.token.id
    assert token.expires_at is not None
    assert abs(token.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["acme", "ACME", " Acme ", "\uff41\uff43\uff4d\uff45"])
def test_names_are_unique_in_any_case(site: Site, name: str) -> None:
    site.add("Acme")
    with pytest.raises(PartnerError, match="partner 'Acme' exists"):
        site.add(name)
    assert store.find(site.connection, name).name == "Acme"


def test_of_many_who_add_one_name_at_once_one_does(site: Site) -> None:
    results: list[str] = []

    def add(name: str) -> None:
        with connect(site.url, purpose="test") as connection:
            try:
                store.add(connection, name, parse_scopes(["*:read"]), by="ada")
                results.append("added")
            except PartnerError:
                results.append("taken")

    threads = [threading.Thread(target=add, args=[name]) for name in ("acme", "Acme", "ACME", "aCME")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["added", "taken", "taken", "taken"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "a\u202eb", "x" * 101, "dp_abc"])
def test_what_no_partner_is_called(site: Site, name: str) -> None:
    with pytest.raises(PartnerError):
        site.add(name)


@given(st.text())
def test_a_cleaned_name_stays_as_it_is(text: str) -> None:
    try:
        name = clean_name(text)
    except PartnerError:
        return
    assert clean_name(name) == name
    assert name_key(name) == name_key(name.upper()) or name.upper().casefold() != name.casefold()


def test_a_token_pasted_as_a_name_is_not_repeated(site: Site) -> None:
    token = site.add().token
    with pytest.raises(PartnerError) as caught:
        store.find(site.connection, token.text)
    assert token.secret not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(PartnerError) as caught:
        store.revoke(site.connection, "acme", by="ada", token=token.text)
    assert token.secret not in f"{caught.value} {caught.value.hint}"


def test_rotation_lets_the_old_token_end_after_the_overlap(site: Site) -> None:
    site.add()
    new = site.rotate(overlap=timedelta(hours=2))
    old, newest = new.partner.tokens
    assert newest.id == new.token.id
    assert newest.expires_at is None
    assert old.expires_at is not None
    assert abs(old.expires_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)


def test_rotation_never_makes_an_old_token_last_longer(site: Site) -> None:
    before = site.add(expires_in=timedelta(minutes=5)).partner.tokens[0].expires_at
    assert site.rotate(overlap=timedelta(days=1)).partner.tokens[0].expires_at == before


def test_a_new_token_is_made_for_as_long_as_the_one_before(site: Site) -> None:
    site.add(expires_in=timedelta(days=90))
    site.rotate()
    again = site.rotate().partner.tokens[-1]
    assert again.expires_at is not None
    assert abs(again.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    endless = store.rotate(site.connection, "acme", by="ada", expires_in="never").partner.tokens[-1]
    assert endless.expires_at is None


def test_a_revoked_partner_stays_and_changes_no_more(site: Site) -> None:
    site.add()
    site.revoke("ACME")
    revoked = store.find(site.connection, "acme")
    assert (revoked.status, revoked.revoked_by) == ("revoked", "ada")
    for change in (
        lambda: site.rotate(),
        lambda: store.change(site.connection, "acme", by="x", limit="default"),
    ):
        with pytest.raises(PartnerRevokedError):
            change()
    with pytest.raises(PartnerError, match="partner 'acme' is a revoked partner"):
        site.add("Acme")
    site.revoke()
    assert store.find(site.connection, "acme") == revoked


def test_one_token_can_be_revoked_alone(site: Site) -> None:
    first = site.add().token
    second = site.rotate().token
    site.revoke(token=first.id)
    tokens = {token.id: token.status for token in store.find(site.connection, "acme").tokens}
    assert tokens == {first.id: "revoked", second.id: "valid"}
    site.revoke(token=second.id)
    assert store.find(site.connection, "acme").status == "no valid token"


def test_a_token_of_another_partner_can_not_be_revoked_by_mistake(site: Site) -> None:
    other = site.add("other").token
    site.add("acme")
    with pytest.raises(PartnerError, match="'acme' has no token with this id"):
        site.revoke("acme", token=other.id)
    assert store.find(site.connection, "other").status == "active"


def test_scopes_and_limit_can_be_changed_each_alone(site: Site) -> None:
    site.add("acme", "Part:read", limit=RateLimit(10, 1))
    changed = store.change(site.connection, "acme", by="ada", scopes=parse_scopes(["*:read"]))
    assert (changed.scopes, changed.limit) == (("*:read",), RateLimit(10, 1))
    changed = store.change(site.connection, "acme", by="ada", limit="default")
    assert (changed.scopes, changed.limit) == (("*:read",), None)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=4000)])
def test_a_token_lives_for_a_sensible_time(site: Site, lifetime: timedelta) -> None:
    with pytest.raises(PartnerError):
        site.add(expires_in=lifetime)
    assert store.list_all(site.connection) == []


def test_the_journal_keeps_who_changed_what_and_no_secret(site: Site) -> None:
    tokens = [site.add("Acme", "Part:read").token, site.rotate().token]
    store.change(site.connection, "acme", by="bob", limit=RateLimit(1, 1))
    site.revoke(token=tokens[0].id)
    site.revoke()
    site.revoke()  # changes nothing, and so is not there
    entries = site.rows("SELECT actor, action, detail FROM dotpeen.journal ORDER BY id")
    assert [entry[:2] for entry in entries] == [
        ("ada", "partner add Acme"),
        ("ada", "partner rotate Acme"),
        ("bob", "partner change Acme"),
        ("ada", "partner revoke Acme"),
        ("ada", "partner revoke Acme"),
    ]
    assert entries[1][2]["ending"] == [tokens[0].id]
    everything = str(site.rows("SELECT * FROM dotpeen.journal"))
    at_rest = str(site.rows("SELECT t.*, p.* FROM dotpeen.partner_token t, dotpeen.partner p"))
    for token in tokens:
        assert token.secret not in everything + at_rest
        assert token.hash.hex() not in everything


def test_every_change_raises_the_generation_once_or_more(site: Site) -> None:
    def generation() -> int:
        return int(site.rows("SELECT generation FROM dotpeen.api_state")[0][0])

    seen = [generation()]
    for change in (
        site.add,
        site.rotate,
        lambda: store.change(site.connection, "acme", by="ada", limit="default"),
        lambda: site.connection.execute("UPDATE dotpeen.partner_token SET expires_at = now()"),
        lambda: site.connection.execute("UPDATE dotpeen.api_state SET external_enabled = false"),
        site.revoke,
        lambda: site.connection.execute("DELETE FROM dotpeen.partner"),
    ):
        change()
        seen.append(generation())
    assert sorted(set(seen)) == seen


def test_without_the_schema_there_is_no_partner(database: str) -> None:
    with connect(database, purpose="test") as connection:
        assert store.list_all(connection) == []
        with pytest.raises(PartnerError, match="no partner 'acme'"):
            store.find(connection, "acme")
