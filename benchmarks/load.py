"""Load for a server of the REST interface, and what came of it: wrk for HTTP, pgbench for PostgreSQL alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gauges
import psutil
from parts import COLUMNS, Part, Parts
from plant import Connection
from psycopg import sql

LUA: Final = Path(__file__).parent / "api" / "requests.lua"
TIMEOUT_SECONDS: Final = 10
_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
_SAMPLED: Final = 0.1
"""Share of the statements whose latency pgbench writes down."""
_ARRAY: Final = 1_000
"""Parts that pgbench asks for: each of its sessions reads their UUIDs once, which for 20 000 takes 50 ms."""


@dataclass
class Load:
    """What a server did under load. Latencies in milliseconds, CPU in seconds."""

    requests: int
    seconds: float
    latencies: dict[str, float]
    failures: dict[str, int]
    cpu: dict[str, float] = field(default_factory=dict)
    """`server` (the process under test), `postgres`, `client` (wrk or pgbench), `others`."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def contention(self) -> float:
        """Cores that other processes and the host used."""
        return self.cpu["others"] / self.cpu["span"]


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit(
            "wrk, which makes the load, is not installed: apt-get install wrk, brew install wrk,"
            " or https://github.com/wg/wrk"
        )


def write_requests(
    file: Path, lines: Sequence[str], *, method: str = "GET", headers: dict[str, str] | None = None
) -> Path:
    """Write what requests.lua reads: a line is a path, or a path, a tab and a body."""
    head = [method, *(f"{name}: {value}" for name, value in (headers or {}).items()), ""]
    file.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    file.chmod(0o600)  # a token is among the headers
    return file


def wrk(
    port: int,
    requests: Path,
    *,
    concurrency: int,
    seconds: float,
    skip: int = 0,
    pid: int,
    postmaster: int,
    least_bytes: float = 0.0,
) -> Load:
    """Keep `concurrency` requests in flight; `pid` is the server's.

    wrk counts a status from 400; that the others were whole answers shows in the bytes: `least_bytes` each.
    """
    command = [
        "wrk",
        "--threads=1",
        f"--connections={concurrency}",
        f"--duration={max(round(seconds), 1)}s",
        f"--timeout={TIMEOUT_SECONDS}s",
        f"--script={LUA}",
        f"http://127.0.0.1:{port}/",
        "--",
        str(requests),
        str(skip),
    ]
    cpu: dict[str, float] = {}
    with _measured(cpu, postmaster, pid):
        output = _output(command)
    found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk said nothing of its result:\n{output}")
    result: dict[str, Any] = json.loads(found[1])
    failures = {name: number for name, number in result["errors"].items() if number}
    if not failures and result["bytes"] < least_bytes * result["requests"]:
        failures["short answers"] = 1
    return Load(
        requests=result["requests"],
        seconds=result["seconds"],
        latencies={name: result[name] for name in ("mean", *_PERCENTILES)},
        failures=failures,
        cpu=cpu,
    )


def prepare_pgbench(parts: Parts, folder: Path) -> Path:
    """Write the script: the select of the peers for a random one of a thousand of the same parts.

    pgbench has variables for numbers only, so a function that is inlined when the statement is prepared takes the
    UUID out of a constant array: a few instructions.
    """
    asked = parts.samples[:_ARRAY]
    uuids = sql.Literal([part.values["persistentUuid"] for part in asked])
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    select = sql.SQL('SELECT {} FROM "Part" WHERE "persistentUuid" = benchmark.uuid({})')
    with parts.server.connect(parts.name) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS benchmark")
        connection.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION benchmark.uuid(number int) RETURNS uuid LANGUAGE sql IMMUTABLE"
                " AS {}"
            ).format(sql.Literal(sql.SQL("SELECT ({}::uuid[])[number]").format(uuids).as_string(connection)))
        )
        _check_plan(connection, select.format(columns, sql.SQL("$1")), asked)
        text = select.format(columns, sql.SQL(":number")).as_string(connection)
    script = folder / "pgbench.sql"
    script.write_text(f"\\set number random(1, {len(asked)})\n{text};\n", encoding="utf-8")
    return script


def pgbench(program: Path, parts: Parts, script: Path, *, concurrency: int, seconds: float) -> Load:
    """The same select, prepared, straight from PostgreSQL."""
    logs = script.parent / "pgbench_log"
    command = [
        str(program),
        "--no-vacuum",
        "--protocol=prepared",
        f"--file={script}",
        f"--client={concurrency}",
        "--jobs=1",
        f"--time={max(round(seconds), 1)}",
        "--log",
        f"--log-prefix={logs}",
        f"--sampling-rate={_SAMPLED}",
        "--host=127.0.0.1",
        f"--port={parts.server.port}",
        "--username=postgres",
        parts.name,
    ]
    cpu: dict[str, float] = {}
    with _measured(cpu, parts.server.postmaster, None):
        output = _output(command, PGOPTIONS="-c plan_cache_mode=force_generic_plan")
    latencies: list[float] = []
    for log in script.parent.glob(f"{logs.name}.*"):
        latencies += [int(line.split()[2]) / 1e3 for line in log.read_text(encoding="ascii").splitlines()]
        log.unlink()
    latencies.sort()
    done = int(_figure(r"transactions actually processed: (\d+)", output))
    failed = int(_figure(r"number of failed transactions: (\d+)", output, missing="0"))
    figures = {
        name: latencies[min(int(len(latencies) * percent / 100), len(latencies) - 1)]
        for name, percent in _PERCENTILES.items()
    }
    return Load(
        requests=done,
        # Without the time that connecting took.
        seconds=done / float(_figure(r"tps = ([\d.]+) \(without", output)),
        latencies={"mean": sum(latencies) / len(latencies), **figures},
        failures={"failed": failed} if failed else {},
        cpu=cpu,
    )


def _check_plan(connection: Connection, statement: sql.Composed, samples: Sequence[Part]) -> None:
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(sql.SQL("PREPARE benchmark(int) AS {}").format(statement))
    plan = "\n".join(line[:200] for (line,) in connection.execute("EXPLAIN (COSTS off) EXECUTE benchmark(1)"))
    assert "Index Cond" in plan, plan
    assert "benchmark.uuid" not in plan, plan
    for place, part in enumerate(samples[:10], start=1):
        row = connection.execute(sql.SQL("EXECUTE benchmark({})").format(sql.Literal(place))).fetchone()
        assert row == tuple(part.values.values()), row


@contextmanager
def _measured(cpu: dict[str, float], postmaster: int, pid: int | None) -> Iterator[None]:
    """Fill in what the block cost: of CPU, and of time."""
    before, server, started = gauges.cpu(postmaster), _tree(pid), time.monotonic()
    yield
    cpu["span"] = time.monotonic() - started
    cpu["server"] = _tree(pid) - server
    after = gauges.cpu(postmaster)
    cpu["postgres"] = after["cpu_server"] - before["cpu_server"]
    cpu["client"] = after["cpu_client"] - before["cpu_client"]
    machine = sum(after[name] - before[name] for name in ("cpu_machine", "cpu_steal"))
    cpu["others"] = max(machine - cpu["server"] - cpu["postgres"] - cpu["client"], 0.0)


def _tree(pid: int | None) -> float:
    """CPU seconds of a process and all below it."""
    if pid is None:
        return 0.0
    seconds = 0.0
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        with suppress(FileNotFoundError, ProcessLookupError):
            seconds += sum(gauges.times(each.pid))
    return seconds


def _output(command: Sequence[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _figure(pattern: str, output: str, *, missing: str | None = None) -> str:
    found = re.search(pattern, output)
    if found is None:
        if missing is None:
            raise SystemExit(f"pgbench said nothing of {pattern!r}:\n{output}")
        return missing
    return found[1]
