"""A plant that works while it is migrated, and keeps its own books of what was committed and what was seen.

Writers own disjoint records, so they know exactly what the tables must hold. Primary keys are never used twice,
so a UUID seen beside a key belongs to one record for ever, wherever the record's key moves.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Kind:
    """One table of the plant; its records are numbered, and the number makes the primary key."""

    name: str
    ddl: str
    keys: tuple[str, ...]
    """The primary key's columns as SQL over a number `n`."""
    columns: tuple[str, ...]
    uuid: str

    @property
    def table(self) -> str:
        return f'"{self.name}"'

    @property
    def where(self) -> str:
        return " AND ".join(
            f"t.{column} = ({key.replace('n', '%(n)s::bigint')})"
            for column, key in zip(self.columns, self.keys, strict=True)
        )

    def moved(self) -> str:
        """Assignments that give a record the number `m`."""
        return ", ".join(
            f"{column} = ({key.replace('n', '%(m)s::bigint')})"
            for column, key in zip(self.columns, self.keys, strict=True)
        )

    @property
    def values(self) -> str:
        return ", ".join(f"({key.replace('n', '%(n)s::bigint')})" for key in self.keys)

    @property
    def sidecar(self) -> bool:
        return "sidecar" in self.uuid


_REST = "no bigint NOT NULL, version int NOT NULL DEFAULT 0, note text NOT NULL DEFAULT repeat('x', 80)"

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "Part",
            f'CREATE TABLE "Part" (id bigint PRIMARY KEY, {_REST});CREATE INDEX ON "Part" (version)',
            ("n",),
            ("id",),
            'uuid = { column = "persistentUuid" }',
        ),
        Kind(
            "Lot",
            f'CREATE TABLE "Lot" ("lotNumber" text PRIMARY KEY, {_REST})',
            ("'L' || n",),
            ('"lotNumber"',),
            'uuid = { column = "persistentUuid", type = "text", version = 7 }',
        ),
        Kind(
            "Machine",
            f'CREATE TABLE "Machine" (hall int, serial bigint, {_REST}, PRIMARY KEY (hall, serial))',
            ("n % 3", "n"),
            ("hall", "serial"),
            'uuid = { storage = "sidecar" }',
        ),
        Kind(
            "Event",
            f'CREATE TABLE "Event" (id bigint PRIMARY KEY, {_REST}) PARTITION BY HASH (id);'
            + ";".join(
                f'CREATE TABLE "Event{i}" PARTITION OF "Event" FOR VALUES WITH (MODULUS 3, REMAINDER {i})'
                for i in range(3)
            ),
            ("n",),
            ("id",),
            'uuid = { column = "persistentUuid" }',
        ),
    )
}


def registry(kinds: tuple[str, ...], migration: str = "") -> str:
    """Write the registry of a plant with these tables."""
    primary = {kind: ", ".join(f'"{c.strip(chr(34))}"' for c in KINDS[kind].columns) for kind in kinds}
    entities = "\n".join(
        f'[entities.{kind}]\ntable = "{kind}"\nprimary_key = [{primary[kind]}]\n{KINDS[kind].uuid}\n'
        for kind in kinds
    )
    return f'[site]\nname = "Plant"\n\n[migration]\n{migration}\n\n{entities}'


@dataclass
class Record:
    """One row as its writer knows it."""

    numbers: list[int]
    """The numbers it had, the last one now; a new list begins where nobody follows a change of key."""
    version: int = 0
    past: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """One statement of a writer."""

    what: Literal["insert", "update", "move", "delete"]
    number: int
    version: int = 0
    to: int = 0


class Books:
    """What was seen beside which key, and everything that is wrong. Shared by all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: dict[tuple[str, int], str] = {}
        self.wrong: list[str] = []
        self.reads = 0
        self.lost_connections = 0
        self.latencies: list[tuple[float, float]] = []
        """When each statement was issued, and how long it took."""

    @property
    def statements(self) -> int:
        return len(self.latencies)

    def saw(self, kind: str, number: int, uuid: str) -> None:
        with self.lock:
            self.reads += 1
            known = self.seen.setdefault((kind, number), uuid)
            if known != uuid:
                self.wrong.append(f"{kind} {number}: seen with {known}, then with {uuid}")

    def fault(self, text: str) -> None:
        with self.lock:
            self.wrong.append(text)


class Plant:
    """The tables of one database with writers and readers at work on them.

    A context manager: leaving it ends the work and leaves the books.
    """

    def __init__(
        self, url: str, kinds: tuple[str, ...], *, rows: int, seed: int, writers: int = 2, readers: int = 1
    ) -> None:
        self.url = url
        self.kinds = kinds
        self.books = Books()
        self.explicit_nulls = False
        """Let some inserts say NULL for the UUID, as an object mapper does that knows the column; from expand on."""
        self.writers = [Writer(self, place, writers, seed) for place in range(writers)]
        self._rows = rows
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._threads = [threading.Thread(target=writer.run, daemon=True) for writer in self.writers]
        self._threads += [
            threading.Thread(target=self._read, args=(seed + i,), daemon=True) for i in range(readers)
        ]

    def __enter__(self) -> Plant:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for kind in self.kinds:
                create(connection, KINDS[kind], self._rows)
        for writer in self.writers:
            for kind in self.kinds:
                mine = range(1 + writer.place, self._rows + 1, len(self.writers))
                writer.records[kind] = [Record([n]) for n in mine]
            writer.next_number = self._rows + 1 + writer.place
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def check(self) -> list[str]:
        """Hold the tables against the books; call it when the plant has stopped. Returns what is wrong."""
        wrong = list(self.books.wrong)
        with psycopg.connect(self.url, autocommit=True) as connection:
            for kind in self.kinds:
                wrong += self._check(connection, KINDS[kind])
        return wrong

    def _check(self, connection: Connection, kind: Kind) -> Iterator[str]:
        rows = {
            number: (version, uuid)
            for number, version, uuid in connection.execute(_rows_query(kind)).fetchall()
        }
        records = [record for writer in self.writers for record in writer.records[kind.name]]
        expected = {record.numbers[-1]: record.version for record in records}
        if lost := sorted(expected.keys() - rows.keys()):
            yield f"{kind.name}: {len(lost)} rows lost, such as {lost[:3]}"
        if extra := sorted(rows.keys() - expected.keys()):
            yield f"{kind.name}: {len(extra)} rows that should be gone, such as {extra[:3]}"
        for number in expected.keys() & rows.keys():
            if rows[number][0] != expected[number]:
                yield f"{kind.name} {number}: version {rows[number][0]}, committed was {expected[number]}"
        if without := [number for number, (_, uuid) in rows.items() if uuid is None]:
            yield f"{kind.name}: {len(without)} rows without a UUID, such as {without[:3]}"
        if len({uuid for _, uuid in rows.values()}) != len(rows):
            yield f"{kind.name}: UUIDs in more than one row"
        for record in records:
            uuids = {
                self.books.seen[kind.name, n] for n in record.numbers if (kind.name, n) in self.books.seen
            }
            now = rows.get(record.numbers[-1], (0, None))[1]
            if uuids - {now}:
                yield f"{kind.name} {record.numbers}: is {now}, was seen with {sorted(uuids)}"
        for writer in self.writers:
            for numbers in writer.ended[kind.name]:
                uuids = {self.books.seen[kind.name, n] for n in numbers if (kind.name, n) in self.books.seen}
                if len(uuids) > 1:
                    yield f"{kind.name} {numbers}: seen with {sorted(uuids)}"

    def _read(self, seed: int) -> None:
        """Look at random stretches of the tables and write down every UUID that is visible."""
        rng = random.Random(seed)
        connection: Connection | None = None
        while not self.stopping:
            kind = KINDS[rng.choice(self.kinds)]
            low = rng.randrange(max(self.writers[0].next_number, 1))
            try:
                if connection is None:
                    connection = psycopg.connect(self.url, autocommit=True, application_name="plant reader")
                found = connection.execute(
                    f"{_rows_query(kind)} WHERE t.no BETWEEN %s AND %s", [low, low + 500]
                ).fetchall()
            except (
                psycopg.errors.UndefinedColumn,
                psycopg.errors.UndefinedTable,
                psycopg.errors.InvalidSchemaName,
            ):
                time.sleep(0.02)  # not expanded, or rolled back
                continue
            except psycopg.Error as error:
                if connection is not None and not connection.broken:
                    self.books.fault(f"a reader of {kind.name} failed: {type(error).__name__}: {error}")
                connection = None
                time.sleep(0.05)
                continue
            for number, _, uuid in found:
                if uuid is not None:
                    self.books.saw(kind.name, number, uuid)
            time.sleep(0.04)
        if connection is not None:
            connection.close()


class Writer:
    """Inserts, updates, re-keys and deletes its own records, one transaction after the other."""

    def __init__(self, plant: Plant, place: int, writers: int, seed: int) -> None:
        self.place = place
        self.records: dict[str, list[Record]] = {}
        self.ended: dict[str, list[list[int]]] = defaultdict(list)
        self.next_number = 0
        self._plant = plant
        self._books = plant.books
        self._writers = writers
        self._rng = random.Random(seed * 100 + place)

    def run(self) -> None:
        connection: Connection | None = None
        while not self._plant.stopping:
            try:
                if connection is None or connection.closed:
                    connection = self._connect()
                    if connection is None:
                        return
                self._transaction(connection)
            except psycopg.Error as error:
                self._books.fault(f"writer {self.place}: {type(error).__name__}: {error}")
            time.sleep(self._rng.uniform(0, 0.012))
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection | None:
        while not self._plant.stopping:
            try:
                return psycopg.connect(self._plant.url, autocommit=True, application_name="plant writer")
            except psycopg.OperationalError:
                time.sleep(0.05)
        return None

    def _transaction(self, connection: Connection) -> None:
        kind = KINDS[self._rng.choice(self._plant.kinds)]
        records = self.records[kind.name]
        size = self._rng.choice((1, 1, 1, 2, 4))
        chosen = self._rng.sample(range(len(records)), min(size, len(records)))
        changes: list[tuple[Change, Record]] = []
        for place in chosen:
            record = records[place]
            what = self._rng.choices(("insert", "update", "move", "delete"), (3, 6, 1, 1))[0]
            number = record.numbers[-1]
            if what == "insert":
                record = Record([self._fresh()])
                changes.append((Change("insert", record.numbers[0]), record))
            elif what == "update":
                changes.append((Change("update", number, record.version + 1), record))
            elif what == "move":
                changes.append((Change("move", number, to=self._fresh()), record))
            else:
                changes.append((Change("delete", number), record))
        pause = 0.2 if self._rng.random() < 0.03 else 0.0
        back = self._rng.random() < 0.05
        followed: dict[int, bool] = {}
        uuids: list[tuple[int, str]] = []
        try:
            with connection.transaction(force_rollback=back):
                for change, _ in changes:
                    started = time.monotonic()
                    self._execute(connection, kind, change, followed, uuids)
                    self._books.latencies.append((started, time.monotonic() - started))
                time.sleep(pause)
        except psycopg.Error:
            if not connection.broken:
                raise
            self._books.lost_connections += 1
            connection.close()
            back = not self._find_out(kind, [change for change, _ in changes])
        if back:
            return
        for number, uuid in uuids:
            self._books.saw(kind.name, number, uuid)
        for change, record in changes:
            self._remember(kind, change, record, followed.get(change.number, False))

    def _execute(
        self,
        connection: Connection,
        kind: Kind,
        change: Change,
        followed: dict[int, bool],
        uuids: list[tuple[int, str]],
    ) -> None:
        numbers = {"n": change.number, "m": change.to, "version": change.version}
        columns = ", ".join(kind.columns)
        had_one = False
        if (
            change.what == "insert"
            and self._plant.explicit_nulls
            and not kind.sidecar
            and self._rng.random() < 0.3
        ):
            columns += ', "persistentUuid"'
            values = f"{kind.values}, NULL"
        else:
            values = kind.values
        returning = "RETURNING to_jsonb(t) ? 'persistentUuid', to_jsonb(t) ->> 'persistentUuid'"
        statement = {
            "insert": f"INSERT INTO {kind.table} AS t (no, {columns}) VALUES (%(n)s, {values})",
            "update": f"UPDATE {kind.table} AS t SET version = %(version)s WHERE {kind.where}",
            "move": f"UPDATE {kind.table} AS t SET {kind.moved()}, no = %(m)s WHERE {kind.where}",
            "delete": f"DELETE FROM {kind.table} AS t WHERE {kind.where}",
        }[change.what]
        if change.what == "move" and not kind.sidecar:
            before = connection.execute(
                f"SELECT to_jsonb(t) ->> 'persistentUuid' FROM {kind.table} AS t WHERE {kind.where} FOR UPDATE",
                numbers,
            ).fetchone()
            had_one = before is not None and before[0] is not None
        found = connection.execute(f"{statement} {returning}".replace(" % ", " %% "), numbers).fetchall()
        if len(found) != 1:
            self._books.fault(f"{kind.name}: {change} met {len(found)} rows")
            return
        has_column, uuid = found[0]
        if change.what == "insert" and has_column:
            if uuid is None:
                self._books.fault(f"{kind.name} {change.number}: inserted without a UUID")
            else:
                uuids.append((change.number, uuid))
        if change.what == "move":
            # A UUID goes with its record from the moment it is there, whatever stage the migration is in. One that
            # waits in the ledger of issued ones for its record to be filled again knows only the record's key.
            followed[change.number] = (
                self._identity_moved(connection, kind, change) if kind.sidecar else had_one
            )

    def _identity_moved(self, connection: Connection, kind: Kind, change: Change) -> bool:
        # The lock that our statement holds keeps triggers from coming or going until we commit.
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'zz_dotpeen_rekey')",
            [kind.table],
        ).fetchone()
        if row is None or not row[0]:
            return False
        keys = [f'["{n % 3}", "{n}"]' for n in (change.number, change.to)]
        found = connection.execute(
            f'SELECT key FROM dotpeen."identity_{kind.name}" WHERE key = ANY (%s)', [keys]
        ).fetchall()
        if found == [(keys[0],)]:
            self._books.fault(f"{kind.name}: {change}: the UUID stayed with the old key")
        return found == [(keys[1],)]

    def _find_out(self, kind: Kind, changes: list[Change]) -> bool:
        """The server died while we worked: look what became of the transaction."""
        while (connection := self._connect()) is not None:
            try:
                with connection:
                    outcomes = {self._happened(connection, kind, change) for change in changes}
            except psycopg.OperationalError:
                continue
            if len(outcomes) > 1:
                self._books.fault(f"{kind.name}: half of a transaction survived: {changes}")
            return True in outcomes
        self._books.fault("the server did not come back before the plant stopped")
        return False

    def _happened(self, connection: Connection, kind: Kind, change: Change) -> bool:
        query = f"SELECT t.version FROM {kind.table} AS t WHERE {kind.where}".replace(" % ", " %% ")
        row = connection.execute(query, {"n": change.number}).fetchone()
        if change.what == "insert":
            return row is not None
        if change.what == "update":
            return row is not None and row[0] == change.version
        return row is None

    def _remember(self, kind: Kind, change: Change, record: Record, followed: bool) -> None:  # noqa: FBT001
        records = self.records[kind.name]
        if change.what == "insert":
            records.append(record)
        elif change.what == "update":
            record.version = change.version
        elif change.what == "move":
            if not followed:
                self.ended[kind.name].append(record.numbers)
                record.numbers = []
            record.numbers.append(change.to)
        else:
            self.ended[kind.name].append(record.numbers)
            records.remove(record)

    def _fresh(self) -> int:
        number = self.next_number
        self.next_number += self._writers
        return number


def create(connection: Connection, kind: Kind, rows: int) -> None:
    """Make a table and its first rows."""
    for statement in kind.ddl.split(";"):
        connection.execute(statement)
    keys = ", ".join(kind.keys)
    connection.execute(
        f"INSERT INTO {kind.table} ({', '.join(kind.columns)}, no)"
        f" SELECT {keys}, n FROM generate_series(1, {rows}) AS n"
    )
    connection.execute(f"CREATE INDEX ON {kind.table} (no)")
    connection.execute(f"ANALYZE {kind.table}")


def _rows_query(kind: Kind) -> str:
    if not kind.sidecar:
        return f'SELECT t.no, t.version, t."persistentUuid"::text FROM {kind.table} AS t'
    return (
        f'SELECT t.no, t.version, i.uuid::text FROM {kind.table} AS t LEFT JOIN dotpeen."identity_{kind.name}" AS i'
        " ON i.key = jsonb_build_array(t.hall::text, t.serial::text)::text"
    )


def fingerprint(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Everything of the catalog that a migration may touch, in words, to compare databases by."""
    queries = {
        "columns": "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,"
        " pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum"
        " WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')",
        "indexes": "SELECT pg_get_indexdef(indexrelid), indisvalid, indisready, indisunique FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid WHERE true",
        "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(n.oid), convalidated"
        " FROM pg_constraint n JOIN pg_class c ON c.oid = conrelid WHERE true",
        "triggers": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal",
        "tables": "SELECT c.oid::regclass::text, relkind FROM pg_class c WHERE relkind IN ('r', 'p', 'S', 'v')",
    }
    within = " AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'dotpeen'))"
    found = {
        name: sorted(connection.execute(query + within).fetchall(), key=repr)
        for name, query in queries.items()
    }
    found["functions"] = sorted(
        connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('dotpeen')"
        ).fetchall()
    )
    return found


def wait_until(happened: Callable[[], object], what: str, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
