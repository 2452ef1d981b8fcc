"""Lookups that wait together: each gets its own record, whatever happens to the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from dotpeen.api.askers import Question, Waiting, uuid_array
from dotpeen.api.lookups import LARGEST, Lookups
from dotpeen.database import connect
from dotpeen.database.pool import Pool, make_pool

if TYPE_CHECKING:
    from postgres import Server

ROWS = 2000
STATEMENT = sql.SQL("SELECT id::text, body FROM public.thing WHERE id = ANY(%s::uuid[])")
SLOW = sql.SQL("SELECT id::text, body FROM public.thing, pg_sleep(0.05) AS s(x) WHERE id = ANY(%s::uuid[])")


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def body(number: int) -> bytes:
    return f'{{"number":{number}}}'.encode()


@pytest.fixture(scope="module")
def things(server: Server) -> Iterator[str]:
    url = server.create()
    with connect(url, purpose="test") as connection:
        connection.execute("CREATE TABLE public.thing (id uuid PRIMARY KEY, body text)")
        connection.execute(
            "INSERT INTO public.thing SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid,"
            " '{\"number\":' || n || '}' FROM generate_series(1, %s) AS n",
            [ROWS],
        )
    yield url
    server.drop(url)


class Broken(Exception):  # noqa: N818 - what the tests are given in the place of an error
    """Stands for the problem that a client would be told."""


class Things:
    """Asks for things."""

    def __init__(self, pool: Pool, statement: sql.SQL, timeout: float) -> None:
        self.lookups = Lookups(pool, timeout=timeout)
        self.question = Question(statement.as_string(), uuid_array, lambda error: Broken(repr(error)))

    def find(self, uuid: str) -> asyncio.Future[bytes | None]:
        waiting = Waiting(uuid)
        self.lookups.ask(self.question, waiting)
        return waiting.body


@asynccontextmanager
async def lookups(
    url: str, statement: sql.SQL = STATEMENT, *, timeout: float = 20, size: int = 6
) -> AsyncIterator[Things]:
    pool = make_pool(url, purpose="test", size=size, statement_timeout=30)
    await pool.open(wait=True, timeout=30)
    found = Things(pool, statement, timeout)
    try:
        yield found
    finally:
        await found.lookups.close()
        await pool.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run within a time that only a lookup that hangs would need."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(limited())


def test_each_of_many_gets_its_own_record(things: str) -> None:
    async def test() -> None:
        async with lookups(things) as found:
            numbers = [random.randrange(1, ROWS + 200) for _ in range(3000)]
            answers = await asyncio.gather(*(found.find(uuid(number)) for number in numbers))
        assert answers == [body(number) if number <= ROWS else None for number in numbers]

    run(test())


@pytest.mark.parametrize("seed", range(6))
def test_none_is_lost_or_confused_among_delays_and_cancellations(things: str, seed: int) -> None:
    chance = random.Random(seed)

    async def client(found: Things, plan: list[tuple[float, int, float | None]]) -> int:
        answered = 0
        for delay, number, patience in plan:
            await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(patience):
                    answer = await found.find(uuid(number))
            except TimeoutError:
                continue
            assert answer == (body(number) if number <= ROWS else None)
            answered += 1
        return answered

    async def test() -> None:
        async with lookups(things) as found:
            plans = [
                [
                    (
                        chance.choice([0, 0, 0.0001, 0.001, 0.003]),
                        chance.randrange(1, 60) if chance.random() < 0.5 else chance.randrange(1, ROWS + 100),
                        chance.choice([None, None, None, 0.0005, 0.003]),
                    )
                    for _ in range(40)
                ]
                for _ in range(50)
            ]
            least = sum(patience is None for plan in plans for _, _, patience in plan)
            answered = sum(await asyncio.gather(*(client(found, plan) for plan in plans)))
            assert least <= answered <= 2000
            # And it goes on: nothing that was given up on is left behind.
            assert await found.find(uuid(7)) == body(7)

    run(test())


def test_tasks_that_are_cancelled_take_nobody_with_them(things: str) -> None:
    async def test() -> None:
        async with lookups(things, SLOW) as found:

            async def ask(number: int) -> bytes | None:
                return await found.find(uuid(number))

            for _ in range(5):
                tasks = [asyncio.create_task(ask(number % 20 + 1)) for number in range(200)]
                await asyncio.sleep(random.uniform(0, 0.08))
                given_up = tasks[::2]
                for task in given_up:
                    task.cancel()
                answers = await asyncio.gather(*tasks, return_exceptions=True)
                for number, (task, answer) in enumerate(zip(tasks, answers, strict=True)):
                    if task not in given_up:
                        assert answer == body(number % 20 + 1)
                    else:
                        assert isinstance(answer, asyncio.CancelledError) or answer == body(number % 20 + 1)

    run(test())


def test_one_that_gives_up_does_not_disturb_another_for_the_same_record(things: str) -> None:
    async def test() -> None:
        async with lookups(things, SLOW) as found:
            first, second = found.find(uuid(1)), found.find(uuid(1))
            await asyncio.sleep(0)
            first.cancel()
            third = found.find(uuid(1))
            assert await second == body(1)
            assert await third == body(1)
            assert first.cancelled()

    run(test())


def test_one_that_comes_while_the_last_session_ends_is_served(things: str) -> None:
    """The lost wake-up: asked in the very moment in which nobody is there any more."""

    async def test() -> None:
        async with lookups(things) as found:
            for _ in range(300):
                first = found.find(uuid(1))
                # The next is asked from the callback of the first, which runs between its answer and the session's end.
                chained: asyncio.Future[asyncio.Future[bytes | None]] = (
                    asyncio.get_running_loop().create_future()
                )
                first.add_done_callback(lambda _, chained=chained: chained.set_result(found.find(uuid(2))))
                assert await (await chained) == body(2)
            for number in range(1, 300):
                assert await found.find(uuid(number)) == body(number)
                for _ in range(random.randrange(6)):
                    await asyncio.sleep(0)

    run(test())


def test_more_than_one_query_can_take_go_in_several(things: str) -> None:
    async def test() -> None:
        async with lookups(things) as found:
            answers = await asyncio.gather(
                *(found.find(uuid(number)) for number in range(1, 3 * LARGEST + 8))
            )
            assert answers == [body(number) for number in range(1, 3 * LARGEST + 8)]

    run(test())


def test_all_that_wait_are_told_when_the_backend_dies_and_later_ones_are_answered(things: str) -> None:
    async def test() -> None:
        sleeping = sql.SQL(
            "SELECT id::text, body FROM public.thing, pg_sleep(CASE WHEN id = {} THEN 30 ELSE 0 END) AS s(x)"
            " WHERE id = ANY(%s::uuid[])"
        ).format(sql.Literal(uuid(1)))
        async with lookups(things, sql.SQL(sleeping.as_string())) as found:
            waiting = [found.find(uuid(1)), found.find(uuid(1))]
            await asyncio.sleep(0.3)
            waiting += [found.find(uuid(1)), found.find(uuid(2))]
            loop = asyncio.get_running_loop()
            await asyncio.sleep(0.3)
            began = loop.time()
            await asyncio.to_thread(terminate, things)
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert loop.time() - began < 5
            # The one who asked for another record may have been answered by the second session before.
            assert all(isinstance(one, Broken) or one == body(2) for one in told)
            assert [isinstance(one, Broken) for one in told[:3]] == [True] * 3
            for _ in range(50):
                try:
                    assert await found.find(uuid(3)) == body(3)
                    break
                except Broken:
                    await asyncio.sleep(0.1)
            answers = await asyncio.gather(*(found.find(uuid(number)) for number in range(2, 500)))
            assert answers == [body(number) for number in range(2, 500)]

    run(test())


def terminate(url: str) -> None:
    """End every session of the pool."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_backends_that_die_again_and_again_leave_nobody_hanging(things: str) -> None:
    async def test() -> None:
        stop = asyncio.Event()

        async def disturb() -> None:
            for _ in range(8):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(terminate, things)
            stop.set()

        async def client(found: Things, first: int) -> tuple[int, int]:
            answered = failed = 0
            number = first
            while not stop.is_set() or answered == 0:
                number = number % ROWS + 1
                try:
                    assert await found.find(uuid(number)) == body(number)
                    answered += 1
                except Broken:
                    failed += 1
                    await asyncio.sleep(0.01)
            return answered, failed

        async with lookups(things) as found:
            _, *counts = await asyncio.gather(
                disturb(), *(client(found, 37 * number) for number in range(20))
            )
            assert all(answered > 0 for answered, _ in counts)

    run(test())


def test_a_query_that_takes_too_long_fails_those_who_wait_for_it_only(things: str) -> None:
    async def test() -> None:
        sleeping = sql.SQL(
            "SELECT id::text, body FROM public.thing, pg_sleep(CASE WHEN id = {} THEN 30 ELSE 0 END) AS s(x)"
            " WHERE id = ANY(%s::uuid[])"
        ).format(sql.Literal(uuid(1)))
        async with lookups(things, sql.SQL(sleeping.as_string()), timeout=0.5) as found:
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(Broken, match="TimeoutError"):
                await found.find(uuid(1))
            assert loop.time() - began < 10
            assert await found.find(uuid(2)) == body(2)

    run(test())


def test_an_exhausted_pool_is_an_error_in_time(things: str) -> None:
    async def test() -> None:
        pool = make_pool(things, purpose="test", size=2, statement_timeout=30)
        await pool.open(wait=True, timeout=30)
        found = Things(pool, STATEMENT, 0.3)
        async with pool.connection(), pool.connection():
            with pytest.raises(Broken, match="PoolTimeout"):
                await found.find(uuid(1))
        assert await found.find(uuid(1)) == body(1)
        await found.lookups.close()
        await pool.close()

    run(test())


def test_questions_that_hang_do_not_hold_up_others(things: str) -> None:
    """Somebody has locked one table; those who ask for records of another are answered."""

    async def test() -> None:
        hanging = sql.SQL(
            "SELECT id::text, body FROM public.thing, pg_sleep(1.5) AS s(x) WHERE id = ANY(%s::uuid[])"
        )
        async with lookups(things, size=8) as found:
            slow = Question(hanging.as_string(), uuid_array, lambda error: Broken(repr(error)))
            stuck: list[Waiting] = []
            loop = asyncio.get_running_loop()
            began = loop.time()
            for number in range(1, 40):
                stuck.append(Waiting(uuid(number)))
                found.lookups.ask(slow, stuck[-1])
                assert await found.find(uuid(number)) == body(number)
            assert loop.time() - began < 1.3
            assert await asyncio.gather(*(one.body for one in stuck)) == [
                body(number) for number in range(1, 40)
            ]

    run(test())
