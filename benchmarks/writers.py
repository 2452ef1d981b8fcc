"""The plant at work on the table that is measured: inserts, updates, deletes and reads, in a process of its own.

Run by `backfill.py`. A line on standard input begins a phase; its end stops it all and prints the figures as JSON.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass, field

import psycopg
from plant import Keys

WRITES_PER_SECOND = 80.0
CLIENTS = 4
_POOL = 4000
_READ_SHARE = 0.2

_INSERT = """
INSERT INTO "Measurement" ("id", "serialNumber", "partId", "lotNumber", "workOrderId", "operation", "status",
    "quantity", "nominalValue", "measuredValue", "lowerLimit", "upperLimit", "passed", "deviceName", "operator",
    "measuredAt", "updatedAt", "shift")
VALUES (%s, %s, 'c0', 'LOT-NEW', 1, 10, 'OPEN', 1, 25, 25, 24.95, 25.05, true, 'CMM-0001', 'operator1', now(), now(), 1)
"""
_UPDATE = 'UPDATE "Measurement" SET "status" = %s, "measuredAt" = now(), "updatedAt" = now() WHERE "id" = %s'
_TOUCH = 'UPDATE "Measurement" SET "notes" = %s, "updatedAt" = now() WHERE "id" = %s'
_DELETE = 'DELETE FROM "Measurement" WHERE "id" = %s'
_READ = 'SELECT "serialNumber", "status", "measuredValue" FROM "Measurement" WHERE "id" = %s'


@dataclass
class Phase:
    started: float
    latencies: list[float] = field(default_factory=list)
    writes: int = 0
    failures: list[str] = field(default_factory=list)

    def figures(self, ended: float) -> dict[str, object]:
        ordered = sorted(self.latencies) or [0.0]

        def at(share: float) -> float:
            return round(1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)

        return {
            "seconds": round(ended - self.started, 1),
            "statements": len(self.latencies),
            "writes_per_second": round(self.writes / max(ended - self.started, 1e-6), 1),
            "p50_ms": at(0.5),
            "p95_ms": at(0.95),
            "p99_ms": at(0.99),
            "max_ms": at(1.0),
            "failed": len(self.failures),
            "errors": self.failures[:5],
        }


class Plant:
    """Clients with a connection each; a statement's latency counts from when it was due."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._url = url
        self._keys = keys
        self._phases: dict[str, Phase] = {"before": Phase(time.monotonic())}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        with psycopg.connect(url) as connection:
            self._known = [
                row[0]
                for row in connection.execute(
                    'SELECT "id" FROM "Measurement" TABLESAMPLE SYSTEM (5) ORDER BY random() LIMIT %s',
                    [_POOL],
                )
            ]
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def mark(self, phase: str) -> None:
        with self._lock:
            self._phases[phase] = Phase(time.monotonic())

    def end(self) -> dict[str, dict[str, object]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        now = time.monotonic()
        ends = [phase.started for phase in list(self._phases.values())[1:]] + [now]
        return {
            name: phase.figures(ended)
            for (name, phase), ended in zip(self._phases.items(), ends, strict=True)
        }

    def _work(self, number: int) -> None:
        interval = CLIENTS * (1 - _READ_SHARE) / WRITES_PER_SECOND
        due = time.monotonic() + interval * number / CLIENTS
        finished = due
        with psycopg.connect(self._url, autocommit=True, application_name="plant") as connection:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                began = due if finished > due else time.monotonic()
                text, values, writes = self._statement()
                failure = None
                try:
                    connection.execute(text, values)
                except psycopg.Error as error:
                    failure = f"{type(error).__name__}: {error}"
                finished = time.monotonic()
                self._record(began, finished - began, failure, writes=writes)
                due += interval

    def _statement(self) -> tuple[bytes, tuple[object, ...], bool]:
        if secrets.randbelow(100) < 100 * _READ_SHARE:
            return _READ.encode(), (secrets.choice(self._known),), False
        kind = secrets.randbelow(10)
        if kind < 4:
            tail = secrets.token_hex(12)
            key = secrets.randbelow(2**40) + 2**50 if self._keys == "bigint" else f"c{tail}"
            return _INSERT.encode(), (key, f"SN-{tail}"), True
        if kind < 7:
            status = secrets.choice(("PASS", "REWORK", "OPEN"))
            return _UPDATE.encode(), (status, secrets.choice(self._known)), True
        if kind < 9:
            return _TOUCH.encode(), (f"seen {secrets.randbelow(1000)}", secrets.choice(self._known)), True
        place = secrets.randbelow(len(self._known))
        return _DELETE.encode(), (self._known[place],), True

    def _record(self, began: float, latency: float, failure: str | None, *, writes: bool) -> None:
        with self._lock:
            phase = next((p for p in reversed(self._phases.values()) if p.started <= began), None)
            if phase is None:
                return
            phase.latencies.append(latency)
            phase.writes += writes
            if failure is not None:
                phase.failures.append(failure)


def main() -> None:
    url, keys = sys.argv[1:3]
    plant = Plant(url, keys)  # type: ignore[arg-type]
    print("at work", flush=True)
    for line in sys.stdin:
        plant.mark(line.strip())
    print(json.dumps(plant.end()), flush=True)


if __name__ == "__main__":
    main()
