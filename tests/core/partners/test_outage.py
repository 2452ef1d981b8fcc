"""What a node does while PostgreSQL is gone, and afterwards."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from acceptance.private_server import PrivateServer
from dotpeen.database.schema import upgrade
from dotpeen.errors import AuthenticationError, DatabaseUnreachableError
from dotpeen.partners import AuditEntry, AuditLog, Directory, RateLimit, RateLimiter
from dotpeen.partners.directory import TRUST_SECONDS
from dotpeen.partners.state import disable_external
from dotpeen.partners.tokens import new_token
from postgres import Run

from .site import Site, eventually, open_pool

pytestmark = pytest.mark.slow


@pytest.fixture
def private_server(test_run: Run) -> Iterator[PrivateServer]:
    server = PrivateServer(test_run, f"partners-{uuid4().hex[:8]}")
    yield server
    server.stop()


def test_a_node_lives_through_the_death_of_the_server(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dotpeen.partners.directory._PATIENCE", 1.0)
    monkeypatch.setattr("dotpeen.partners.limits._PATIENCE", 1.0)
    caplog.set_level(logging.INFO, logger="dotpeen")
    url = private_server.database("site")
    upgrade(url)
    site = Site(url)
    token = site.add(limit=RateLimit(50, 3600)).token
    disable_external(site.connection, by="ada", reason="Inventory")
    site.close()
    entry = AuditEntry(datetime.now(UTC), "acme", token.id, "GET", "/", None, None, 0, 200, "r1", None, 1)

    async def node() -> None:
        async with open_pool(url) as pool:
            directory = Directory(pool)
            limiter, log = RateLimiter(pool), AuditLog(pool, patience=1.0)
            grant = await directory.authenticate(token.text)
            await directory.refresh()
            limiter.check(grant)
            await limiter.share()
            private_server.kill()

            # Known tokens stay good, and the switch where it was; nobody can vouch for others.
            assert not await directory.refresh()
            assert (await directory.authenticate(token.text)) == grant
            assert (directory.state.enabled, directory.state.reason) == (False, "Inventory")
            with pytest.raises(DatabaseUnreachableError):
                await directory.authenticate(new_token("client").text)
            with pytest.raises(AuthenticationError):
                await directory.authenticate(f"dp_{token.id}_{new_token('client').secret}")
            with pytest.raises(DatabaseUnreachableError):
                await directory.issue_access_token(token.id, token.secret)

            # Limits go on, counted here alone.
            assert [limiter.check(grant).remaining for _ in range(3)] == [48, 47, 46]
            assert not await limiter.share()
            assert limiter.check(grant).remaining == 45

            # The trail can't be written, and says so in time, to all who wait.
            began = time.monotonic()
            outcomes = await asyncio.gather(*(log.write(entry) for _ in range(20)), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {DatabaseUnreachableError}
            assert time.monotonic() - began < 5

            # After the time of trust nobody comes in, and nobody waits long to hear it.
            directory._heard -= TRUST_SECONDS
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(directory.authenticate(token.text) for _ in range(50)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {DatabaseUnreachableError}
            assert time.monotonic() - began < 8
            assert not directory.state.enabled

            private_server.start()

            async def back() -> bool:
                return await directory.refresh() and await limiter.share()

            await eventually(back, seconds=60)
            assert (await directory.authenticate(token.text)).name == "acme"
            await log.write(entry._replace(request_id="r2"))

    asyncio.run(node())
    site = Site(url)
    assert site.rows("SELECT count(*) FROM dotpeen.audit WHERE request_id = 'r2'") == [(1,)]
    # The window itself is gone with the crash: it is not logged. What this node counted since is there.
    assert site.rows("SELECT requests FROM dotpeen.rate_window") == [(4,)]
    site.close()
    assert token.secret not in caplog.text
    warnings = [record.message for record in caplog.records if record.name.startswith("dotpeen.partners")]
    assert len([w for w in warnings if w.startswith("partners and tokens can't be read")]) == 1
    assert "partners and tokens can be read again" in warnings


def test_sessions_that_were_ended_are_not_noticed(site: Site) -> None:
    token = site.add().token

    async def node() -> None:
        async with site.pool(min_size=4) as pool:
            directory, limiter, log = Directory(pool), RateLimiter(pool), AuditLog(pool)
            await directory.refresh()
            grant = await directory.authenticate(token.text)
            for turn in range(3):
                site.connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                )
                if turn == 0:
                    await log.write(
                        AuditEntry(
                            datetime.now(UTC), None, None, "GET", "/", None, None, 0, 200, None, None, 1
                        )
                    )
                elif turn == 1:
                    assert await directory.refresh()
                else:
                    limiter.check(grant)
                    assert await limiter.share()

    asyncio.run(node())


def test_a_refresh_that_gets_no_answer_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locked out, the node goes on with what it knows; many who ask meanwhile wait for one attempt."""
    monkeypatch.setattr("dotpeen.partners.directory._PATIENCE", 0.5)
    token = site.add().token

    async def node() -> None:
        async with site.pool() as pool:
            directory = Directory(pool)
            await directory.refresh()
            with site.connection.transaction():
                site.connection.execute("LOCK TABLE dotpeen.api_state IN ACCESS EXCLUSIVE MODE")
                began = time.monotonic()
                assert await asyncio.gather(*(directory.refresh() for _ in range(20))) == [False] * 20
                assert time.monotonic() - began < 5
                assert (await directory.authenticate(token.text)).name == "acme"
            assert await directory.refresh()

    asyncio.run(node())


def test_a_node_whose_schema_is_not_there_yet_waits_for_it(database: str) -> None:
    async def node() -> None:
        async with open_pool(database) as pool:
            directory = Directory(pool)
            assert not await directory.refresh()
            with pytest.raises(DatabaseUnreachableError):
                await directory.authenticate(new_token("client").text)
            await asyncio.to_thread(upgrade, database)
            site = Site(database)
            token = site.add(expires_in=timedelta(days=1)).token
            site.close()
            assert (await directory.authenticate(token.text)).name == "acme"

    asyncio.run(node())
