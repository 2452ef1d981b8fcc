"""OAuth 2 client credentials: an access token for a token."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dotpeen.errors import AuthenticationError, PartnerError, ScopeError
from dotpeen.partners import Directory
from dotpeen.partners import directory as directory_module
from dotpeen.partners.tokens import new_token

from .site import Site, eventually, running
from .test_directory import reason


def test_good_credentials_give_a_token_that_every_node_accepts(site: Site) -> None:
    client = site.add("acme", "Part:read").token

    async def nodes() -> None:
        async with site.pool() as pool:
            directory, other = Directory(pool), Directory(pool)
            await other.refresh()
            access = await directory.issue_access_token(client.id, client.secret)
            assert access.token.startswith("dpa_")
            assert 3590 <= access.expires_in <= 3600
            assert {str(scope) for scope in access.scopes} == {"Part:read"}
            for node in (directory, other):
                grant = await node.authenticate(access.token)
                assert (grant.name, grant.allows("Part", "read")) == ("acme", True)
                assert grant.expires_at == access.expires_at
            assert access.token not in repr(access)
            assert (await directory.issue_access_token(client.id, client.text)).token != access.token

    asyncio.run(nodes())
    rows = str(site.rows("SELECT t::text FROM dotpeen.partner_token AS t"))
    assert client.secret not in rows


def test_giving_out_a_token_is_no_news_to_the_nodes(site: Site) -> None:
    client = site.add().token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            await directory.refresh()
            generation = directory.generation
            await directory.issue_access_token(client.id, client.secret)
            await directory.refresh()
            assert directory.generation == generation

    asyncio.run(node())


def test_bad_credentials_give_none(site: Site) -> None:
    client, other = site.add("acme").token, site.add("other").token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            access = await directory.issue_access_token(client.id, client.secret)
            _, access_id, access_secret = access.token.split("_", 2)
            for client_id, secret, why in [
                (client.id, other.secret, "unknown"),
                (new_token("client").id, client.secret, "unknown"),
                (client.id, "", "malformed"),
                ("acme", client.secret, "malformed"),
                (access_id, access_secret, "unknown"),  # an access token gets no other
            ]:
                with pytest.raises(AuthenticationError) as caught:
                    await directory.issue_access_token(client_id, secret)
                assert caught.value.reason == why

    asyncio.run(node())


def test_expired_and_revoked_credentials_give_none_even_before_the_node_knows(site: Site) -> None:
    expired, revoked = site.add("expired").token, site.add("revoked").token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            await directory.refresh()
            site.connection.execute(
                "UPDATE dotpeen.partner_token SET expires_at = now() - interval '1 s' WHERE id = %s",
                [expired.id],
            )
            site.revoke("revoked")
            for client, why in ((expired, "expired"), (revoked, "revoked")):
                with pytest.raises(AuthenticationError) as caught:
                    await directory.issue_access_token(client.id, client.secret)
                assert caught.value.reason == why
        assert site.rows("SELECT count(*) FROM dotpeen.partner_token WHERE kind = 'access'") == [(0,)]

    asyncio.run(node())


def test_an_access_token_ends_with_what_it_was_got_for(site: Site) -> None:
    first = site.add("first").token
    second = site.add("second").token
    short = site.add("short", expires_in=timedelta(minutes=10)).token

    async def node() -> None:
        async with site.pool() as pool, running(Directory(pool)) as directory:
            access = {
                client.id: await directory.issue_access_token(client.id, client.secret)
                for client in (first, second, short)
            }
            assert access[short.id].expires_in <= 600
            for token in access.values():
                assert await reason(directory, token.token) == "good"
            site.revoke("first", token=first.id)
            site.revoke("second")
            site.rotate("short", overlap=timedelta(0))

            async def ended() -> bool:
                return [await reason(directory, access[c.id].token) for c in (first, second, short)] == [
                    "revoked",
                    "revoked",
                    "expired",
                ]

            await eventually(ended)

    asyncio.run(node())


def test_an_access_token_expires(site: Site) -> None:
    client = site.add().token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool, access_lifetime=timedelta(seconds=1))
            access = await directory.issue_access_token(client.id, client.secret)
            assert access.expires_at - datetime.now(UTC) < timedelta(seconds=1.1)
            await asyncio.sleep(1.1)
            assert await reason(directory, access.token) == "expired"
            assert await reason(Directory(pool), access.token) == "expired"

    asyncio.run(node())


def test_an_access_token_can_be_narrowed_and_never_widened(site: Site) -> None:
    client = site.add("acme", "*:read").token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            access = await directory.issue_access_token(client.id, client.secret, scopes=["Part:read"])
            grant = await directory.authenticate(access.token)
            assert (grant.allows("Part", "read"), grant.allows("WorkOrder", "read")) == (True, False)
            with pytest.raises(ScopeError) as caught:
                await directory.issue_access_token(
                    client.id, client.secret, scopes=["Part:read", "Part:write"]
                )
            assert caught.value.scope == "Part:write"
            for wrong in (["Part"], []):
                with pytest.raises(PartnerError):
                    await directory.issue_access_token(client.id, client.secret, scopes=wrong)

    asyncio.run(node())


def test_access_tokens_in_memory_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "_MOST_ACCESS", 5)
    client = site.add().token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            tokens = [(await directory.issue_access_token(client.id, client.secret)).token for _ in range(12)]
            for token in (*tokens, *tokens):
                assert await reason(directory, token) == "good"
            assert len(directory._known) <= 7

    asyncio.run(node())


def test_tokens_that_ended_are_deleted_after_a_day(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "_TIDY_SECONDS", 0.0)
    client = site.add().token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            for _ in range(3):
                await directory.issue_access_token(client.id, client.secret)
            site.connection.execute(
                "UPDATE dotpeen.partner_token SET expires_at = now() - interval '25 h' WHERE id = "
                "(SELECT min(id) FROM dotpeen.partner_token WHERE kind = 'access')"
            )
            await directory.refresh()

    asyncio.run(node())
    assert site.rows("SELECT kind, count(*) FROM dotpeen.partner_token GROUP BY kind ORDER BY kind") == [
        ("access", 2),
        ("client", 1),
    ]
