"""What a running node knows of partners, and how soon."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from dotpeen.errors import AuthenticationError
from dotpeen.partners import Directory, RateLimit, store
from dotpeen.partners import directory as directory_module
from dotpeen.partners.scopes import parse_scopes
from dotpeen.partners.state import disable_external, enable_external
from dotpeen.partners.tokens import new_token

from .site import Pool, Site, eventually, running

pytestmark = pytest.mark.slow


async def reason(directory: Directory, token: str) -> str:
    """Why a token is refused; `good` where it isn't."""
    try:
        await directory.authenticate(token)
    except AuthenticationError as error:
        return error.reason
    return "good"


def test_a_token_grants_what_its_partner_may_do(site: Site) -> None:
    issued = site.add(
        "Acme", "Part:read", "Part:write", limit=RateLimit(600, 60), expires_in=timedelta(days=1)
    )

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            grant = await directory.authenticate(issued.token.text)
            assert (grant.name, grant.token_id, grant.limit) == ("Acme", issued.token.id, RateLimit(600, 60))
            assert (grant.allows("Part", "write"), grant.allows("WorkOrder", "read")) == (True, False)
            assert grant.expires_at == issued.partner.tokens[0].expires_at
            assert issued.token.secret not in repr(grant) + repr(vars(directory))

    asyncio.run(node())


def test_without_a_limit_of_its_own_the_default_holds(site: Site) -> None:
    token = site.add().token.text

    async def node() -> None:
        async with site.pool() as pool:
            assert (await Directory(pool).authenticate(token)).limit == RateLimit(6000, 60)
            special = Directory(pool, default_limit=RateLimit(5, 1))
            assert (await special.authenticate(token)).limit == RateLimit(5, 1)

    asyncio.run(node())


def test_what_is_no_token_of_a_partner_is_refused(site: Site) -> None:
    token = site.add().token
    wrong = f"dp_{token.id}_{new_token('client').secret}"
    guess = new_token("client").text
    as_access = token.text.replace("dp_", "dpa_", 1)

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            asked = [await reason(directory, text) for text in (wrong, guess, guess, as_access, "x", "")]
            assert asked == ["unknown", "unknown", "unknown", "unknown", "malformed", "malformed"]
            assert await reason(directory, token.text) == "good"

    asyncio.run(node())


def test_every_change_is_seen_by_every_running_node_within_two_seconds(site: Site) -> None:
    """Add, change, rotate, expire, revoke: three nodes, each with connections of its own."""

    async def nodes() -> None:
        async with (
            site.pool() as first,
            site.pool() as second,
            site.pool(autocommit=False) as third,
            running(Directory(first)) as a,
            running(Directory(second)) as b,
            running(Directory(third)) as c,
        ):

            async def everywhere(token: str, expected: str) -> None:
                async def seen() -> bool:
                    return [await reason(node, token) for node in (a, b, c)] == [expected] * 3

                await eventually(seen)

            old = site.add("acme", "Part:read").token.text
            assert [await reason(node, old) for node in (a, b, c)] == ["good"] * 3  # at once: it was unknown

            store.change(site.connection, "acme", by="ada", scopes=parse_scopes(["*:write"]))

            async def may_write() -> bool:
                return all([(await node.authenticate(old)).allows("Part", "write") for node in (a, b, c)])

            await eventually(may_write)

            new = site.rotate(overlap=timedelta(seconds=4)).token.text
            await everywhere(new, "good")
            await everywhere(old, "good")
            await asyncio.sleep(2)
            await eventually(lambda: refused(a, old), seconds=4)
            await everywhere(old, "expired")
            await everywhere(new, "good")

            site.revoke()
            await everywhere(new, "revoked")
            await everywhere(old, "revoked")

    async def refused(node: Directory, token: str) -> bool:
        return await reason(node, token) == "expired"

    asyncio.run(nodes())


def test_the_switch_is_seen_by_running_nodes_and_by_later_ones(site: Site) -> None:
    async def nodes() -> None:
        async with site.pool() as pool, running(Directory(pool)) as a, running(Directory(pool)) as b:
            assert a.state.enabled

            async def off() -> bool:
                return not a.state.enabled and not b.state.enabled

            async def on() -> bool:
                return a.state.enabled and b.state.enabled

            disable_external(site.connection, by="ada", reason="Inventory", retry_after=timedelta(minutes=5))
            await eventually(off)
            assert (a.state.reason, a.state.changed_by, a.state.retry_after_seconds) == (
                "Inventory",
                "ada",
                300,
            )
            assert a.state.changed_at is not None
            later = Directory(pool)
            await later.refresh()
            assert later.state == a.state
            enable_external(site.connection, by="ada")
            await eventually(on)
            assert (a.state.reason, a.state.retry_after_seconds) == (None, 60)

    asyncio.run(nodes())


def test_a_known_token_costs_no_question(site: Site) -> None:
    token = site.add().token.text

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            assert directory.recognise(token) is None
            await directory.authenticate(token)
            await pool.close()
            assert directory.recognise(token) == await directory.authenticate(token)

    asyncio.run(node())


class Counting:
    """A pool that counts how often it is asked for a connection."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked = 0

    def connection(self) -> Any:
        self.asked += 1
        return self._pool.connection()


def test_a_flood_of_unknown_tokens_costs_few_questions_and_little_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_MOST_UNKNOWN", 100)
    known = site.add().token.text

    async def node() -> None:
        async with site.pool() as pool:
            counting = Counting(pool)
            directory = Directory(counting)  # type: ignore[arg-type]
            await directory.refresh()
            counting.asked = 0
            guesses = [new_token("client").text for _ in range(500)]
            assert await asyncio.gather(*(reason(directory, guess) for guess in guesses)) == ["unknown"] * 500
            assert counting.asked <= 3
            assert len(directory._unknown) == 100
            for _ in range(50):
                assert await reason(directory, guesses[-1]) == "unknown"
            assert counting.asked <= 3
            assert await reason(directory, known) == "good"

    asyncio.run(node())


def test_one_who_goes_away_leaves_the_answer_to_the_others(site: Site) -> None:
    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            await directory.refresh()
            token = site.add().token.text
            asking = [asyncio.create_task(directory.authenticate(token)) for _ in range(10)]
            await asyncio.sleep(0)
            asking[0].cancel()
            asking[5].cancel()
            answers = await asyncio.gather(*asking, return_exceptions=True)
            good = [answer.name for answer in answers if not isinstance(answer, BaseException)]
            assert good == ["acme"] * 8

    asyncio.run(node())


def test_answers_that_are_late_do_not_bring_back_a_revoked_token(site: Site) -> None:
    """Lookups, refreshes and revocations at random times: once a node saw the revocation it stays."""

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            for number in range(15):
                name = f"p{number}"
                token = site.add(name).token.text

                async def ask(token: str = token) -> str:
                    return await reason(directory, token)

                tasks: list[asyncio.Task[Any]] = [asyncio.create_task(ask()) for _ in range(3)]
                tasks.append(asyncio.create_task(directory.refresh()))
                await asyncio.sleep(0.001 * (number % 4))
                site.revoke(name)
                tasks += [asyncio.create_task(directory.refresh()), asyncio.create_task(ask())]
                await asyncio.gather(*tasks)
                await directory.refresh()
                assert await ask() == "revoked"

    asyncio.run(node())


def test_a_scope_that_this_release_does_not_know_keeps_nobody_else_out(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    odd, other = site.add("odd").token.text, site.add("other").token.text
    site.connection.execute("UPDATE dotpeen.partner SET scopes = '{Part:fly,Part:read}' WHERE name = 'odd'")

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            assert {str(scope) for scope in (await directory.authenticate(odd)).scopes} == {"Part:read"}
            assert await reason(directory, other) == "good"

    asyncio.run(node())
    assert "partner odd: a scope is left out" in caplog.text


def test_the_administrator_sees_when_a_token_was_last_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_TIDY_SECONDS", 0.0)
    token = site.add().token.text

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            await directory.authenticate(token)
            generation = directory.generation
            await directory.refresh()
            await directory.refresh()
            assert directory.generation == generation  # being used is no news

    asyncio.run(node())
    used = store.find(site.connection, "acme").tokens[0].last_used_at
    assert used is not None
    assert abs(used.timestamp() - time.time()) < 60
