"""The audit trail: an entry whose write returned is there, once."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.partners import AuditEntry, AuditLog, Refusals, trail
from dotpeen.partners.audit import audit_id
from dotpeen.partners.trail import AuditFilter

from .site import Pool, Site

pytestmark = pytest.mark.slow

UUID_1 = "0b8c0f3e-6d1c-4e55-9d5a-5a1f2f0a9c11"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def entry(request_id: str | None = "r1", **values: Any) -> AuditEntry:
    read = AuditEntry(
        *(NOON, "acme", "t1", "GET", "/api/v1/external/parts/{uuid}", "Part"),
        *(UUID_1, 1, 200, request_id, "10.0.0.7", 1.25),
    )
    return read._replace(**values)


def write(site: Site, *entries: AuditEntry) -> None:
    async def node() -> None:
        async with site.pool() as pool:
            log = AuditLog(pool)
            await asyncio.gather(*(log.write(one) for one in entries))
            await log.close()

    asyncio.run(node())


def found(site: Site, **wanted: Any) -> list[str | None]:
    return [record.request_id for record in trail.query(site.connection, AuditFilter(**wanted))]


def test_an_entry_is_kept_as_it_is(site: Site) -> None:
    written = entry(
        at=datetime(2026, 1, 31, 12, 0, 0, 123456, UTC), method="PATCH", changed=("status", 'größe, "x"')
    )
    empty = AuditEntry(NOON, None, None, "GET", "/x", None, None, 0, 401, None, None, 0.5)
    write(site, written, empty)
    kept = [
        {name: getattr(record, name) for name in AuditEntry._fields}
        for record in trail.query(site.connection, AuditFilter())
    ]
    assert kept == [
        written._asdict() | {"uuid": UUID(UUID_1), "changed": list(written.changed or ()), "uuids": None},
        empty._asdict() | {"uuids": None},
    ]


nasty = st.text(max_size=400) | st.sampled_from(
    ['"', "\\", "{}", ",", "NULL", "'; DROP TABLE x", "\0", "\ud800", "\x1b[2J"]
)


def test_whatever_a_client_sends_fits_in(site: Site) -> None:
    @given(st.lists(st.tuples(nasty, nasty, st.none() | nasty), min_size=1, max_size=5))
    def fits(values: list[tuple[str, str, str | None]]) -> None:
        site.connection.execute("TRUNCATE dotpeen.audit")
        write(site, *(entry(one, remote=two, partner=three) for one, two, three in values))
        kept = site.rows("SELECT request_id, remote, partner FROM dotpeen.audit ORDER BY request_id")

        def storable(text: str | None, longest: int = 300) -> str | None:
            return text and text[:longest].replace("\0", "\ufffd").encode("utf-8", "replace").decode()

        expected = [(storable(one), storable(two), storable(three, 400)) for one, two, three in values]
        assert sorted(kept, key=repr) == sorted(expected, key=repr)

    fits()


def test_an_entry_that_the_table_can_not_hold_harms_no_other(site: Site) -> None:
    async def node() -> list[Any]:
        async with site.pool() as pool:
            log = AuditLog(pool)
            entries = [
                entry("good"),
                entry("bad", uuid="no-uuid"),
                entry("bad", uuid=f"{UUID_1},{UUID_1}"),
                entry("fine"),
            ]
            return await asyncio.gather(*(log.write(one) for one in entries), return_exceptions=True)

    outcomes = asyncio.run(node())
    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, ValueError, type(None)]
    assert sorted(map(str, found(site))) == ["fine", "good"]


def test_entries_in_flight_together_go_in_one_statement(site: Site) -> None:
    write(site, *(entry(f"r{number}") for number in range(200)))
    assert site.rows("SELECT count(*), count(DISTINCT xmin::text) FROM dotpeen.audit") == [(200, 1)]


def test_the_commit_does_not_wait_for_the_disk_and_leaves_the_session_as_it_was(site: Site) -> None:
    async def node() -> list[str]:
        async with site.pool(max_size=1) as pool:
            async with pool.connection() as connection:
                await connection.execute(
                    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$BEGIN NEW.remote := current_setting('synchronous_commit'); RETURN NEW; END$$"
                )
                await connection.execute(
                    "CREATE TRIGGER note BEFORE INSERT ON dotpeen.audit FOR EACH ROW EXECUTE FUNCTION note()"
                )
            await AuditLog(pool).write(entry())
            async with pool.connection() as connection:
                rows = await connection.execute(
                    "SELECT remote, current_setting('synchronous_commit') FROM dotpeen.audit"
                )
                return list(await rows.fetchone() or ())

    assert asyncio.run(node()) == ["off", "on"]


@pytest.mark.parametrize("settings", [{"autocommit": True}, {"autocommit": False}])
def test_of_thousands_of_writes_at_random_times_each_is_there_once_and_none_hangs(
    site: Site, settings: dict[str, bool]
) -> None:
    chance = random.Random(1)
    delays = [[chance.choice([0, 0, 0.0005, 0.002, 0.01]) for _ in range(60)] for _ in range(64)]

    async def node() -> None:
        async with site.pool(**settings) as pool:
            log = AuditLog(pool, batch_size=50)

            async def client(number: int) -> None:
                for turn, delay in enumerate(delays[number]):
                    await asyncio.sleep(delay)
                    await log.write(entry(f"{number}.{turn}"))

            async with asyncio.timeout(120):
                await asyncio.gather(*(client(number) for number in range(64)))
            await log.close()

    asyncio.run(node())
    expected = sorted(f"{number}.{turn}" for number in range(64) for turn in range(60))
    assert sorted(map(str, found(site))) == expected


def test_lone_writes_one_after_the_other_each_find_a_writer(site: Site) -> None:
    """Each comes when the one before has just been answered: nobody may be left waiting then."""

    async def node() -> None:
        async with site.pool() as pool:
            log = AuditLog(pool)

            async def client(number: int) -> None:
                for turn in range(200):
                    await asyncio.wait_for(log.write(entry(f"{number}.{turn}")), timeout=30)

            await client(0)
            await asyncio.gather(client(1), client(2))

    asyncio.run(node())
    assert len(set(found(site))) == len(found(site)) == 600


def test_the_entry_of_a_client_that_went_away_is_there(site: Site) -> None:
    async def node() -> None:
        async with site.pool() as pool:
            log = AuditLog(pool)
            writes = [asyncio.create_task(log.write(entry(f"r{number}"))) for number in range(10)]
            await asyncio.sleep(0)
            for task in writes[::2]:
                task.cancel()
            await asyncio.gather(*writes, return_exceptions=True)
            await log.close()

    asyncio.run(node())
    assert len(found(site)) == 10


def test_closing_writes_what_is_waiting_and_ends_it(site: Site) -> None:
    async def node() -> None:
        async with site.pool() as pool:
            log = AuditLog(pool)
            writes = [asyncio.create_task(log.write(entry(f"r{number}"))) for number in range(10)]
            await asyncio.sleep(0)
            await log.close()
            assert all(task.done() for task in writes) or await asyncio.gather(*writes)
            with pytest.raises(RuntimeError):
                await log.write(entry())

    asyncio.run(node())
    assert len(found(site)) == 10


def test_connections_that_are_ended_lose_and_double_no_entry(site: Site) -> None:
    async def node() -> None:
        async with site.pool(max_size=3) as pool:
            log = AuditLog(pool)

            async def client(number: int) -> None:
                for turn in range(50):
                    await log.write(entry(f"{number}.{turn}"))
                    await asyncio.sleep(0.01)

            clients = asyncio.gather(*(client(number) for number in range(16)))
            while not clients.done():
                await asyncio.sleep(0.15)
                await _terminate(pool, site)
            await clients

    asyncio.run(node())
    assert sorted(map(str, found(site))) == sorted(f"{n}.{t}" for n in range(16) for t in range(50))


async def _terminate(pool: Pool, site: Site) -> None:
    site.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def test_what_was_written_survives_the_death_of_the_writer(site: Site) -> None:
    program = """
    import asyncio, sys
    from datetime import UTC, datetime
    from psycopg_pool import AsyncConnectionPool
    from dotpeen.database.pool import Session
    from dotpeen.partners import AuditEntry, AuditLog

    async def main():
        async with AsyncConnectionPool(sys.argv[1], connection_class=Session, kwargs={"autocommit": True}) as pool:
            log = AuditLog(pool)

            async def client(number):
                for turn in range(100_000):
                    name = f"{number}.{turn}"
                    now = datetime.now(UTC)
                    await log.write(AuditEntry(now, None, None, "GET", "/", None, None, 0, 200, name, None, 1))
                    print(name, flush=True)

            await asyncio.gather(*(client(number) for number in range(8)))

    asyncio.run(main())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), site.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [
        line.strip() for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n")
    ]
    kept = found(site)
    assert set(acknowledged) <= set(kept)
    assert len(set(kept)) == len(kept) >= 300


def test_entries_are_found_by_partner_entity_record_and_time(site: Site) -> None:
    hour = timedelta(hours=1)
    write(
        site,
        entry("a", at=NOON - 2 * hour),
        entry("b", at=NOON - hour, partner="other"),
        entry("c", at=NOON, entity="WorkOrder", uuid=None),
        entry("d", at=NOON + timedelta(microseconds=1), uuid=str(UUID(int=7))),
    )
    assert found(site) == ["d", "c", "b", "a"]
    assert found(site, partner="acme") == ["d", "c", "a"]
    assert found(site, entity="Part") == ["d", "b", "a"]
    assert found(site, uuid=UUID_1) == ["b", "a"]
    assert found(site, since=NOON - hour) == ["d", "c", "b"]
    assert found(site, until=NOON) == ["b", "a"]
    assert found(site, partner="acme", entity="Part", since=NOON - 3 * hour, until=NOON - hour) == ["a"]


def test_each_record_of_a_page_is_found(site: Site) -> None:
    several = tuple(str(UUID(int=number)) for number in range(1, 501))
    write(
        site,
        entry("page", uuid=None, uuids=several, records=500),
        entry("other page", uuid=None, uuids=several[:1], records=1),
        entry("one", uuid=several[7], at=NOON + timedelta(minutes=1)),
        entry("none", uuid=None),
    )
    assert found(site, uuid=several[7]) == ["one", "page"]
    assert sorted(map(str, found(site, uuid=several[0]))) == ["other page", "page"]
    assert found(site, uuid=str(UUID(int=501))) == []
    kept = {record.request_id: record.uuids for record in trail.query(site.connection, AuditFilter())}
    assert kept["page"] == [UUID(one) for one in several]
    assert (kept["one"], kept["none"]) == (None, None)
    assert trail.prune(site.connection, NOON + timedelta(seconds=1), by="ada") == 3
    assert site.rows("SELECT count(*) FROM dotpeen.audit_given") == [(0,)]


def test_refusals_of_a_kind_that_come_fast_are_one_entry(site: Site) -> None:
    async def node() -> None:
        async with site.pool() as pool:
            log = AuditLog(pool)
            refusals = Refusals(log)
            await refusals.write(entry("first", status=429))
            assert found(site) == ["first"]
            for number in range(20):
                await refusals.write(entry(f"r{number}", status=429))
            await refusals.write(entry("other path", status=429, route="/x", method="POST", entity=None))
            await refusals.write(entry("other kind", status=403))
            await refusals.write(entry("other token", status=429, token_id="t2"))
            await refusals.close()
            await log.close()

    asyncio.run(node())
    kept = {record.request_id: record for record in trail.query(site.connection, AuditFilter())}
    assert {name: record.requests for name, record in kept.items()} == {
        "first": 1, "other path": 21, "other kind": 1, "other token": 1,
    }  # fmt: skip
    assert (kept["other path"].route, kept["other path"].method, kept["other path"].entity) == (
        "*",
        "*",
        None,
    )


def test_an_entry_of_a_transaction_is_there_with_it(site: Site) -> None:
    async def node() -> None:
        async with site.pool() as pool, pool.connection() as connection:
            log = AuditLog(pool)
            async with connection.transaction() as taken_back:
                await log.write_within(connection, entry("taken back"))
                raise psycopg.Rollback(taken_back)
            async with connection.transaction():
                await log.write_within(connection, entry("kept", uuids=(UUID_1,), changed=("status",)))
                cursor = await connection.execute("SHOW synchronous_commit")
                assert await cursor.fetchone() == ("on",)

    asyncio.run(node())
    (kept,) = trail.query(site.connection, AuditFilter())
    assert (kept.request_id, kept.changed, kept.uuids) == ("kept", ["status"], [UUID(UUID_1)])


def test_time_and_record_are_found_over_an_index(site: Site) -> None:
    site.connection.execute(
        "INSERT INTO dotpeen.audit SELECT uuid_in(md5(i::text)::cstring), now(), 'p' || i % 5000, NULL, 'GET', '/',"
        " NULL, gen_random_uuid(), 1, 200, NULL, NULL, 1 FROM generate_series(1, 20000) AS i"
    )
    site.connection.execute("ANALYZE dotpeen.audit")
    for condition, index in [
        (f"uuid = '{UUID_1}'", "audit_uuid"),
        ("partner = 'p7'", "audit_partner"),
        (f"id < '{audit_id(1)}'", "audit_pkey"),
    ]:
        plan = str(
            site.rows(f"EXPLAIN SELECT * FROM dotpeen.audit WHERE {condition} ORDER BY id DESC LIMIT 100")
        )
        assert index in plan
        assert "Seq Scan" not in plan


moments = st.integers(0, 4_000_000_000_000_000)


@given(moments, st.integers(0, 2**62 - 1), moments, st.integers(0, 2**62 - 1))
def test_keys_sort_as_times_do_and_are_uuids_of_version_7(one: int, a: int, other: int, b: int) -> None:
    first, second = audit_id(one, random_bits=a), audit_id(other, random_bits=b)
    assert UUID(first).version == 7
    assert UUID(first).variant == "specified in RFC 4122"
    assert UUID(first).int >> 80 == one // 1000
    assert (first < second) == (one < other) or one == other
    assert audit_id(one) <= first


def test_pruning_deletes_what_is_older_and_says_so_in_the_journal(site: Site) -> None:
    write(site, *(entry(f"r{day}", at=NOON - timedelta(days=day)) for day in range(10)))
    before = NOON - timedelta(days=4)
    assert trail.count_before(site.connection, before) == 5
    assert trail.prune(site.connection, before, by="ada") == 5
    assert found(site) == ["r0", "r1", "r2", "r3", "r4"]
    assert site.rows("SELECT actor, action, rows, detail FROM dotpeen.journal") == [
        ("ada", "audit prune", 5, {"before": before.isoformat()})
    ]


def test_reading_a_long_trail_holds_little_of_it(site: Site) -> None:
    site.connection.execute(
        "INSERT INTO dotpeen.audit SELECT gen_random_uuid(), now(), 'acme', NULL, 'GET', '/', NULL, NULL, 1, 200,"
        " i::text, NULL, 1 FROM generate_series(1, 10000) AS i"
    )
    entries = trail.query(site.connection, AuditFilter())
    first = [next(entries) for _ in range(3)]
    fetched = site.rows("SELECT name FROM pg_cursors")
    assert (len(first), fetched) == (3, [("audit",)])
    entries.close()
    assert len(found(site)) == 10_000


def test_without_the_schema_there_is_no_entry(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        assert list(trail.query(connection, AuditFilter())) == []
        assert trail.count_before(connection, NOON) == 0
