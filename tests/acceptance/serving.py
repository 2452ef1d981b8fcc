"""`dotpeen serve` as a user starts it, and clients that keep it busy and keep their own books."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from dotpeen.database import connect
from dotpeen.demo.run import registry_text
from dotpeen.partners import Scope, store

INTERNAL_TOKEN = "internal-token-that-is-secret"  # noqa: S105 - of the tests


class Serving:
    """A running server: its process, where it answers, what it logged."""

    def __init__(
        self,
        run_dotpeen: Any,
        database: str,
        *options: str,
        settings: str = "",
        env: dict[str, str] | None = None,
        registry: Path | None = None,
    ) -> None:
        self.registry = registry or run_dotpeen.folder / "registry.toml"
        if registry is None:
            api = f'[api]\ninternal_token = "env:TEST_INTERNAL"\n{settings}\n'
            self.registry.write_text(registry_text().replace("[api]\n", api, 1))
        self.database = database
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] = run_dotpeen.start(
            *("-r", self.registry, "--database-url", database, "serve", "--port", "0", *options),
            env={"TEST_INTERNAL": INTERNAL_TOKEN} | (env or {}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(
            lambda: self.said("Dotpeen answers") or self.process.poll() is not None, "the server answers"
        )
        assert self.process.poll() is None, self.output
        wait_for(lambda: self.said("entities"), "the server says all")
        self.url = self.announced("Dotpeen answers")

    def announced(self, name: str) -> str:
        """What stands behind a name in the lines that the server begins with."""
        return next(line for line in self.lines if line.startswith(name)).removeprefix(name).strip()

    @property
    def internal_url(self) -> str:
        return self.announced("internal").split("/api")[0]

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log; every line that is not of the announcement must be JSON."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def token(self, name: str = "Acme", scope: str = "*:read") -> str:
        """Add a partner; its token."""
        with connect(self.database, purpose="test") as connection:
            return store.add(connection, name, {Scope.parse(scope)}, by="tests").token.text

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(60)
        self._reader.join(30)
        return code

    def metrics(self) -> dict[str, float]:
        """Every sample of a scrape, by its name and labels as they are written."""
        answer = httpx.get(
            f"{self.url}/metrics", headers={"authorization": f"Bearer {INTERNAL_TOKEN}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return samples(answer.text)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)


def samples(text: str) -> dict[str, float]:
    """The samples of a scrape."""
    found = re.findall(r"(?m)^([^#\s]\S*(?:\{.*\})?) (\S+)$", text)
    assert len(found) == len(dict(found)), "a sample stands there twice"
    return {name: float(value) for name, value in found}


@dataclass
class Books:
    """What clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    """What problems were called."""
    errors: list[str] = field(default_factory=list)
    """Requests that were sent and not answered."""
    refused: int = 0
    """Connections that nobody took."""
    longest: float = 0.0
    answered_at: list[tuple[float, int]] = field(default_factory=list)

    def since(self, moment: float) -> Counter[int]:
        return Counter(status for at, status in self.answered_at if at >= moment)


@contextmanager
def busy(
    url: str, paths: Sequence[str], token: str, *, clients: int = 4, until_refused: bool = False
) -> Iterator[Books]:
    """Keep asking, each client on a connection of its own, as long as the block lasts."""
    books = Books()
    stopping = threading.Event()

    def client(place: int) -> None:
        turn = place
        while not stopping.is_set():
            with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=30) as connection:
                while not stopping.is_set():
                    began = time.monotonic()
                    turn += 1
                    try:
                        answer = connection.get(url + paths[turn % len(paths)])
                    except httpx.ConnectError:
                        books.refused += 1
                        if until_refused:
                            return
                        time.sleep(0.02)
                        break
                    except httpx.HTTPError as error:
                        books.errors.append(repr(error))
                        break
                    ended = time.monotonic()
                    books.longest = max(books.longest, ended - began)
                    books.statuses[answer.status_code] += 1
                    books.answered_at.append((ended, answer.status_code))
                    if answer.status_code >= 400:
                        books.bodies[answer.json()["type"]] += 1

    threads = [threading.Thread(target=client, args=(place,), daemon=True) for place in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield books
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)


def part_paths(url: str) -> list[str]:
    """Where each part is, externally."""
    with psycopg.connect(url) as connection:
        rows = connection.execute('SELECT "persistentUuid"::text FROM "Part" ORDER BY 1 LIMIT 50').fetchall()
    return [f"/api/v1/external/parts/{uuid}" for (uuid,) in rows]


def wait_for(happened: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
