"""`Records` and `AsyncRecords` are one thing in two voices."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import dotpeen
from dotpeen import AsyncRecords, Records, records
from dotpeen.database.pool import make_pool
from dotpeen.errors import InvalidValueError, NotMigratedError, RecordNotFoundError
from dotpeen.records.pool import open_pool

from .site import Site

pytestmark = pytest.mark.slow

METHODS = (
    "find", "find_by_uuid", "find_by", "uuid_of", "create", "update", "list", "batch", "resolve", "refresh", "close",
)  # fmt: skip


def test_the_same_methods_with_the_same_parameters() -> None:
    for name in METHODS:
        one, other = getattr(Records, name), getattr(AsyncRecords, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert inspect.iscoroutinefunction(other)
        assert one.__doc__ == other.__doc__
    assert records.Records is Records
    with pytest.raises(AttributeError, match="no attribute 'Recrods'"):
        dotpeen.Recrods  # noqa: B018


def test_the_same_answers(own_mes: Site) -> None:
    sync = own_mes.records

    async def ask() -> None:
        async with AsyncRecords(own_mes.registry, own_mes.url) as found:
            part = sync.list("Part", sort=["partNumber"], limit=1).records[0]
            assert part.uuid is not None
            assert (await found.list("Part", sort=["partNumber"], limit=1)).records == (part,)
            assert await found.find("Part", part.key) == sync.find("Part", part.key)
            assert await found.find_by_uuid("Part", part.uuid) == sync.find_by_uuid("Part", part.uuid)
            assert (await found.find_by("Part", "id", part.key)).key == part.key
            assert await found.uuid_of("Part", part.key) == part.uuid
            assert await found.batch("Part", [part.uuid]) == sync.batch("Part", [part.uuid])
            assert await found.resolve(part.uuid) == sync.resolve(part.uuid)
            changed = await found.update("Part", part.key, {"status": "OBSOLETE"})
            assert sync.find("Part", part.key).values == changed.values
            made = await found.create(
                "Part", {"partNumber": "new", "description": "d", "updatedAt": "2026-01-31"}
            )
            assert sync.find("Part", "new").uuid == made.uuid
            with pytest.raises(RecordNotFoundError):
                await found.find("Part", "nothing")
            with pytest.raises(InvalidValueError):
                await found.create("Part", {"partNumber": None})
            own_mes.execute('ALTER TABLE "Part" DROP COLUMN "persistentUuid" CASCADE')
            with pytest.raises(NotMigratedError):
                await found.find("Part", part.key)
            assert (await found.refresh())["Part"].ready is not None
            assert (await found.find("Part", part.key)).uuid is None

    asyncio.run(ask())


def test_pools_that_are_given_stay_open(mes: Site) -> None:
    pool: Any = open_pool(mes.url, size=1)
    with Records(mes.registry, pool, shapes=mes.shapes()) as found:
        key = found.list("Part", limit=1).records[0].key
    with Records(mes.registry, pool) as found:
        assert found.find("Part", key).key == key
    assert not pool.closed
    pool.close()

    async def ask() -> None:
        async with make_pool(mes.url, purpose="test", size=1, statement_timeout=5) as pool:
            async with AsyncRecords(mes.registry, pool) as found:
                assert (await found.find("Part", key)).key == key
            assert not pool.closed

    asyncio.run(ask())
