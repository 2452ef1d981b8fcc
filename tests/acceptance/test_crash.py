"""Kill it, anywhere and often, while the plant works: afterwards nothing is lost and nothing is left over."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest

from acceptance.plant import KINDS, Plant, create, fingerprint, registry
from acceptance.private_server import PrivateServer
from acceptance.zygote import Command, Zygote
from postgres import Run

pytestmark = pytest.mark.database

STAGES: Final = ("expand", "backfill", "index", "enforce", "verify")
WEAPONS: Final = {"command": 10, "session": 3, "backend": 3, "server": 4}
"""SIGKILL of the command, pg_terminate_backend, SIGKILL of one session of ours, SIGKILL of all PostgreSQL."""
LINGER: Final = {"expand": 0.06, "backfill": 0.5, "index": 0.1, "enforce": 0.06, "verify": 0.15}
"""The longest wait, in seconds, from when a stage is seen to begin until the kill."""
START: Final = 1.0
MANY: Final = 20
SLOW_BATCHES: Final = 'batch_target = "10ms"\nbatch_min = 20\nbatch_max = 150'


@pytest.fixture
def private_server(test_run: Run) -> Iterator[PrivateServer]:
    """A PostgreSQL of this test's own."""
    server = PrivateServer(test_run, f"private-{uuid4().hex[:8]}")
    yield server
    server.stop()


@dataclass
class Ordeal:
    """Starts the command and kills it, again and again."""

    server: PrivateServer
    url: str
    zygote: Zygote
    kinds: tuple[str, ...]
    seed: int
    ahead: tuple[int, ...] = (0, 1, 1, 2)
    """How many stages it is let go on before a kill; one of these, each time."""
    kills: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def drive(self, direction: str, kills: int, *, finish: bool) -> None:
        """Run `migrate up` or `down`, killed this many times on the way, if it lasts that long."""
        for _ in range(kills):
            if self.attempt(direction):
                return
        if finish:
            self.finish(direction)

    def attempt(self, direction: str) -> bool:
        """Start the command and kill something; True when it was too late and the command was through."""
        arguments = ("migrate", "up", "--workers", "2") if direction == "up" else ("migrate", "down", "--yes")
        commands = [self.zygote.start(*arguments)]
        if self.rng.random() < 0.2:
            commands.append(self.zygote.start(*arguments))
        ahead = self.rng.choice(self.ahead)
        aim = self.position(direction) + ahead
        while commands[0].running and self.position(direction) < aim:
            time.sleep(0.004)
        # Before its first stage it looks at the catalog and at the rows.
        linger = LINGER[self.stage(direction, aim)] if ahead else START
        time.sleep(self.rng.uniform(0, linger))
        if not commands[0].running:
            return self._ended_well(commands, direction)
        stage = self.stage(direction, self.position(direction))
        weapon = self.rng.choices(list(WEAPONS), list(WEAPONS.values()))[0]
        self.kills[direction, stage, weapon] += 1
        self.strike(weapon, commands[0])
        if weapon == "command" and len(commands) > 1 and self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0, 0.5))
            commands[1].send(signal.SIGKILL)
        for command in commands:
            self._wait(command)
        return False

    def strike(self, weapon: str, command: Command) -> None:
        if weapon == "command":
            command.send(signal.SIGKILL)
        elif weapon == "server":
            self.server.kill()
            time.sleep(self.rng.uniform(0, 0.3))
            self.server.start()
        else:
            with self._connect() as connection:
                sessions = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dotpeen %'"
                    " AND datname = current_database()"
                ).fetchall()
                if not sessions:
                    return
                (victim,) = self.rng.choice(sessions)
                if weapon == "session":
                    connection.execute("SELECT pg_terminate_backend(%s)", [victim])
                    return
            self.server.kill_backend(victim)
            time.sleep(0.1)
            self.server.wait(self.url)

    def finish(self, direction: str) -> None:
        """Run the command to its end."""
        arguments = ("migrate", "up", "--workers", "2") if direction == "up" else ("migrate", "down", "--yes")
        command = self.zygote.start(*arguments)
        code = command.wait(120)
        assert code == 0, command.text

    def position(self, direction: str) -> int:
        """How many stages of all entities are behind it."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            stages = dict(self._connection.execute("SELECT name, stage FROM dotpeen.entity").fetchall())
        except psycopg.errors.UndefinedTable:
            return 0
        except psycopg.OperationalError:
            self.close()
            return 0
        # Verify comes once, after all others.
        each = [min(STAGES.index(stage) + 1, 4) if stage else 0 for stage in stages.values()]
        all_verified = len(stages) == len(self.kinds) and set(stages.values()) == {"verify"}
        up = sum(each) + all_verified
        return up if direction == "up" else 4 * len(self.kinds) + 1 - up

    def stage(self, direction: str, position: int) -> str:
        """The stage at work when that many are behind it."""
        if direction == "up":
            return "verify" if position >= 4 * len(self.kinds) else STAGES[position % 4]
        return "verify" if position == 0 else STAGES[3 - (position - 1) % 4]

    def enough(self, kills: int) -> bool:
        """Whether it was killed as often as wanted, if that is often also in every stage of `up`."""
        hit = {stage for direction, stage, _ in self.kills if direction == "up"}
        total = self.kills.total()
        return (
            total >= kills if kills < MANY else total >= 2 * kills or (total >= kills and hit == set(STAGES))
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        self.server.wait(self.url)
        return psycopg.connect(self.url, autocommit=True)

    def _wait(self, command: Command) -> None:
        try:
            command.wait(60)
        except TimeoutError as error:
            self.wrong.append(str(error))
            command.send(signal.SIGKILL)
            command.wait(10)
        if "Traceback" in command.text:
            self.wrong.append(command.text)

    def _ended_well(self, commands: list[Command], direction: str) -> bool:
        for command in commands:
            self._wait(command)
            if command.returncode != 0:
                self.wrong.append(f"{direction}: exit {command.returncode} without a kill:\n{command.text}")
        return True

    def report(self) -> str:
        stages: Counter[str] = Counter()
        weapons: Counter[str] = Counter()
        for (direction, stage, weapon), count in self.kills.items():
            stages[f"{direction} {stage}"] += count
            weapons[weapon] += count
        return f"{self.kills.total()} kills (seed {self.seed}); {dict(stages)}; {dict(weapons)}"


def ordeal(
    server: PrivateServer,
    folder: Path,
    kinds: tuple[str, ...],
    *,
    rows: int,
    seed: int,
    kills: int,
    rounds: tuple[tuple[str, int, bool], ...],
    ahead: tuple[int, ...] = (0, 1, 1, 2),
) -> Ordeal:
    """Go through rounds of `up` and `down` with kills, the plant at work, and check after each that was finished.

    A round is a direction, how many kills at most, and whether the command is run to its end afterwards.
    """
    url = server.database(f"plant{seed}")
    file = folder / "registry.toml"
    file.write_text(registry(kinds, SLOW_BATCHES), encoding="utf-8")
    with Zygote(folder, "-r", file, "--database-url", url) as zygote:
        clean = _reference(server, zygote, file, kinds, seed)
        with Plant(url, kinds, rows=rows, seed=seed) as plant:
            trial = Ordeal(server, url, zygote, kinds, seed, ahead)
            for direction, most, finish in itertools.cycle(rounds) if kills >= MANY else rounds:
                if trial.enough(kills):
                    break
                trial.drive(direction, most, finish=finish)
                if finish:
                    trial.wrong += _leftovers(url, clean[direction], direction)
            trial.drive("up", 2, finish=True)
            trial.wrong += _leftovers(url, clean["up"], "up")
            trial.close()
            plant_statements = plant.books.statements
        wrong = trial.wrong + plant.check()
        verified = zygote.start("migrate", "verify")
        if verified.wait(60) != 0:
            wrong.append(verified.text)
    print(
        f"\n{trial.report()}; {plant_statements} statements, {plant.books.reads} UUIDs read,"
        f" {plant.books.lost_connections} transactions cut off"
    )
    assert wrong == [], f"{trial.report()}\n" + "\n".join(wrong)
    return trial


def _reference(
    server: PrivateServer, zygote: Zygote, file: Path, kinds: tuple[str, ...], seed: int
) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """What the catalog looks like after `up` and after `down` that nobody disturbed."""
    url = server.database(f"reference{seed}")
    with psycopg.connect(url, autocommit=True) as connection:
        for kind in kinds:
            create(connection, KINDS[kind], 10)
        found = {}
        for direction, arguments in (("up", ("up",)), ("down", ("down", "--yes"))):
            command = zygote.start("--database-url", url, "migrate", *arguments)
            assert command.wait(60) == 0, command.text
            found[direction] = fingerprint(connection)
    return found


def _leftovers(url: str, clean: dict[str, list[tuple[Any, ...]]], direction: str) -> Iterator[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        now = fingerprint(connection)
        for subject, wanted in clean.items():
            for thing in set(now[subject]) - set(wanted):
                yield f"after {direction}: left over in {subject}: {thing}"
            for thing in set(wanted) - set(now[subject]):
                yield f"after {direction}: missing in {subject}: {thing}"
        for what, query in {
            "ranges": "SELECT entity, unit, lower, upper FROM dotpeen.backfill_range",
            "workers said to be at work": "SELECT entity, name FROM dotpeen.worker WHERE ended_at IS NULL",
            "unfinished backfills": "SELECT entity, unit FROM dotpeen.backfill WHERE finished_at IS NULL",
            "advisory locks": "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            "sessions": "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'dotpeen %'"
            " AND datname = current_database()",
        }.items():
            if rows := connection.execute(query).fetchall():
                yield f"after {direction}: {len(rows)} {what}: {rows[:3]}"


def test_a_few_kills(private_server: PrivateServer, tmp_path: Path) -> None:
    trial = ordeal(
        private_server,
        tmp_path,
        ("Part", "Machine"),
        rows=1500,
        seed=1,
        kills=3,
        rounds=(("up", 3, True),),
        ahead=(1, 2, 3),
    )
    assert trial.kills.total() >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_forty_kills_over_all_stages(private_server: PrivateServer, tmp_path: Path) -> None:
    # Other seeds, which CI does not gamble on: DOTPEEN_TEST_SEED=$RANDOM.
    seed = os.environ.get("DOTPEEN_TEST_SEED", "9555")
    trial = ordeal(
        private_server,
        tmp_path,
        tuple(KINDS),
        rows=5_000,
        seed=int(seed),
        kills=40,
        rounds=(
            ("up", 14, True),
            ("down", 7, True),
            ("up", 6, False),
            ("down", 3, False),
            ("up", 10, True),
            ("down", 3, False),  # and up again from wherever it was interrupted
        ),
    )
    assert {stage for direction, stage, _ in trial.kills if direction == "up"} == set(STAGES)
