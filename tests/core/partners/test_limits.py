"""Rate limits: exact where they are counted, shared within about a second."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.database.pool import make_pool
from dotpeen.partners import RateLimit, RateLimiter
from dotpeen.partners import limits as limits_module
from dotpeen.partners.rate import UNLIMITED

from .site import Site, grant

pytestmark = pytest.mark.slow

START = 1_800_000_000.0
"""The beginning of a minute."""


def in_the_middle_of_a_window() -> float:
    """The time now, in an hour that doesn't end while a test runs."""
    now = time.time()
    return now if now % 3600 < 3500 else now - 200


@given(st.integers(1, 50), st.lists(st.floats(0, 119.99), max_size=120).map(sorted))
def test_exactly_so_many_requests_pass_in_a_window(requests: int, moments: list[float]) -> None:
    limiter = RateLimiter()
    partner = grant(limit=RateLimit(requests, 60))
    passed = [0, 0]
    asked = [0, 0]
    for moment in moments:
        window = int(moment // 60)
        asked[window] += 1
        decision = limiter.check(partner, START + moment)
        passed[window] += decision.allowed
        assert decision.remaining == requests - passed[window]
        assert 1 <= decision.reset_seconds <= 60
        assert decision.retry_after == (None if decision.allowed else decision.reset_seconds)
    assert passed == [min(requests, asked[0]), min(requests, asked[1])]


def test_the_headers_say_it_as_clients_expect() -> None:
    limiter = RateLimiter()
    partner = grant(limit=RateLimit(2, 60))
    assert dict(limiter.check(partner, START + 15.5).headers()) == {
        b"ratelimit-limit": b"2",
        b"ratelimit-remaining": b"1",
        b"ratelimit-reset": b"45",
        b"ratelimit-policy": b"2;w=60",
    }
    limiter.check(partner, START + 20)
    refused = dict(limiter.check(partner, START + 59.9).headers())
    assert (refused[b"ratelimit-remaining"], refused[b"retry-after"]) == (b"0", b"1")
    assert limiter.check(partner, START + 60).allowed


def test_without_a_limit_nothing_is_counted_and_nothing_said() -> None:
    limiter = RateLimiter()
    decisions = [limiter.check(grant(limit=UNLIMITED), START) for _ in range(1000)]
    assert all(decision.allowed for decision in decisions)
    assert decisions[0].headers() == []


def test_partners_do_not_use_up_each_other(site: Site) -> None:
    limiter = RateLimiter()
    first, second = grant(1, limit=RateLimit(1, 60)), grant(2, limit=RateLimit(1, 60))
    assert [limiter.check(who, START).allowed for who in (first, first, second, second)] == [True, False] * 2


def test_a_limit_that_is_changed_holds_at_once() -> None:
    limiter = RateLimiter()
    assert [limiter.check(grant(limit=RateLimit(2, 60)), START).allowed for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert limiter.check(grant(limit=RateLimit(3, 60)), START).remaining == 0
    assert not limiter.check(grant(limit=RateLimit(1, 60)), START).allowed
    assert limiter.check(grant(limit=RateLimit(1, 3600)), START).allowed


def test_an_outage_is_over_when_the_database_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits_module, "_PATIENCE", 0.1)

    async def node() -> None:
        async with make_pool(
            "postgresql://mes@127.0.0.1:9/none", purpose="t", size=2, statement_timeout=1
        ) as pool:
            limiter = RateLimiter(pool)
            assert limiter.check(grant(limit=RateLimit(9, 60))).allowed
            assert not await limiter.share()
            limiter._windows.clear()
            assert not await limiter.share(), "with nothing to tell, nobody knows that it is back"

    with caplog.at_level(logging.INFO, "dotpeen"):
        asyncio.run(node())
    assert len([record for record in caplog.records if record.name.startswith("dotpeen")]) == 1


def test_nodes_share_one_count(site: Site) -> None:
    partner = grant(limit=RateLimit(100, 3600))

    async def nodes() -> None:
        now = in_the_middle_of_a_window()
        async with site.pool() as one, site.pool(autocommit=False) as two:
            a, b = RateLimiter(one), RateLimiter(two)
            for _ in range(40):
                assert a.check(partner, now).allowed
            assert b.check(partner, now).remaining == 99  # not known yet
            await a.share()
            await b.share()
            assert b.check(partner, now).remaining == 58
            assert sum(b.check(partner, now).allowed for _ in range(100)) == 58
            await b.share()
            assert a.check(partner, now).remaining == 59  # learns with what it sends
            await a.share()
            assert not a.check(partner, now).allowed
            c = RateLimiter(one)
            assert c.check(partner, now).allowed
            await c.share()
            assert not c.check(partner, now).allowed

    asyncio.run(nodes())


def test_two_nodes_under_load_let_through_the_limit_and_about_a_second_more(site: Site) -> None:
    partner = grant(limit=RateLimit(300, 3600))

    async def nodes() -> None:
        passed = 0
        async with site.pool() as pool:
            limiters = [RateLimiter(pool), RateLimiter(pool)]
            sharing = [asyncio.create_task(limiter.run()) for limiter in limiters]
            now = in_the_middle_of_a_window()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                # 200 a second in all, so that a second more is 200.
                passed += sum(limiter.check(partner, now).allowed for limiter in limiters)
                await asyncio.sleep(0.01)
            for task in sharing:
                task.cancel()
        assert 300 <= passed <= 300 + 2.5 * 200

    asyncio.run(nodes())


def test_requests_while_counts_are_on_their_way_are_counted(site: Site) -> None:
    partner = grant(limit=RateLimit(10_000, 3600))

    async def node() -> None:
        now = in_the_middle_of_a_window()
        async with site.pool() as pool:
            limiter = RateLimiter(pool)
            for _ in range(20):
                limiter.check(partner, now)
                sharing = asyncio.create_task(limiter.share())
                while not sharing.done():
                    limiter.check(partner, now)
                    await asyncio.sleep(0)
            used = 10_000 - limiter.check(partner, now).remaining
            await limiter.close()
        assert site.rows("SELECT requests FROM dotpeen.rate_window") == [(used,)]

    asyncio.run(node())


def test_many_nodes_and_partners_share_without_a_deadlock(site: Site) -> None:
    partners = [grant(number, limit=RateLimit(1000, 3600)) for number in range(1, 21)]

    async def nodes() -> None:
        now = in_the_middle_of_a_window()
        async with site.pool(max_size=8) as pool:
            limiters = [RateLimiter(pool) for _ in range(6)]
            for turn in range(5):
                for offset, limiter in enumerate(limiters):
                    for partner in partners[offset:] + partners[:offset]:
                        limiter.check(partner, now + turn)
                assert all(await asyncio.gather(*(limiter.share() for limiter in limiters)))

    asyncio.run(nodes())
    assert site.rows("SELECT DISTINCT requests FROM dotpeen.rate_window") == [(30,)]


def test_old_windows_are_deleted(site: Site) -> None:
    partner = grant(limit=RateLimit(5, 60))

    async def node() -> None:
        async with site.pool() as pool:
            limiter = RateLimiter(pool)
            site.connection.execute(
                "INSERT INTO dotpeen.rate_window VALUES (7, 60, now() - interval '3 min', 1), "
                "(7, 3600, now() - interval '3 min', 1)"
            )
            limiter._tidied -= limits_module._TIDY_SECONDS + 1
            limiter.check(partner)
            await limiter.share()

    asyncio.run(node())
    assert site.rows("SELECT partner_id, window_seconds FROM dotpeen.rate_window ORDER BY 1") == [
        (1, 60),
        (7, 3600),
    ]


def test_a_limiter_forgets_partners_that_are_gone_for_a_window() -> None:
    async def node() -> None:
        limiter = RateLimiter(None)
        limiter.check(grant(limit=RateLimit(5, 1)), START)
        assert await limiter.share()

    asyncio.run(node())
