"""A database that is not there is one clear error, and not half a minute of attempts."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from dotpeen import AsyncRecords, Records
from dotpeen.errors import DatabaseUnreachableError
from dotpeen.records.pool import new_pool, session
from dotpeen.registry import parse_registry

NOWHERE = "postgresql://mes@127.0.0.1:9/none"
NAMED = "can't connect to database none on 127.0.0.1:9: "
REGISTRY = parse_registry("[entities.Part]")


def test_it_is_named_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        async with AsyncRecords(REGISTRY, NOWHERE) as records:
            await records.find("Part", "PN-1001")

    began = time.monotonic()
    with caplog.at_level(logging.INFO):
        with pytest.raises(DatabaseUnreachableError, match=NAMED), Records(REGISTRY, NOWHERE) as records:
            records.find("Part", "PN-1001")
        with pytest.raises(DatabaseUnreachableError, match=NAMED):
            asyncio.run(ask())
    assert time.monotonic() - began < 5
    assert [record.getMessage() for record in caplog.records if record.name == "psycopg.pool"] == []


def test_one_that_went_away_is_named_when_the_sessions_are_waited_for_in_vain() -> None:
    pool = new_pool(NOWHERE, size=1)
    pool.timeout = 0.1
    with pytest.raises(DatabaseUnreachableError, match=NAMED), session(pool):
        pass
    pool.close()
