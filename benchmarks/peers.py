"""The servers that answer GET of a part by UUID: how each is installed, started, checked and ended."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psutil
from parts import ENVIRONMENT, Part, Parts, dotpeen, dotpeen_command

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE / "api"
CACHE: Final = HERE / ".cache"
ROUTE: Final = "/api/v1/external/parts"
RATE_LIMIT: Final = "100000000/min"
"""Counted for every request and never reached."""
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0


class MissingError(Exception):
    """A server that cannot be measured here, and why."""


@dataclass(frozen=True)
class Service:
    """A server that is ready to be started."""

    name: str
    command: Callable[[int], Sequence[str]]
    """Made for a port."""
    environment: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """What its callers send along."""


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    service: Service
    port: int
    pid: int

    def request(
        self, method: str, path: str, *, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**self.service.headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def fastapi_sqlmodel(parts: Parts) -> Service:
    python = _python_environment() / "bin" / "python"

    def command(port: int) -> Sequence[str]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
        return [str(python), "-m", "uvicorn", "--app-dir", str(SOURCES), "fastapi_sqlmodel:app", *options]

    return Service("fastapi-sqlmodel", command, {"DATABASE_URL": parts.url})


def express_prisma(parts: Parts) -> Service:
    return _node_service("express-prisma", "express-prisma.mjs", parts)


def express_pg(parts: Parts) -> Service:
    return _node_service("express-pg", "express-pg.js", parts)


def ours(parts: Parts) -> Service:
    """This project's server, with a partner of its own."""
    for name in ("serve", "partner"):
        known = subprocess.run(
            [sys.executable, "-m", "dotpeen", name, "--help"], capture_output=True, check=False
        )
        if known.returncode:
            raise MissingError(f"this dotpeen has no command `{name}` yet")
    # Another token for each start would need another name.
    name = f"bench-{time.time_ns()}"
    arguments = ["partner", "add", name, "--scope", "*:read", "--rate-limit", RATE_LIMIT, "--json"]
    answer = json.loads(dotpeen(parts.registry, parts.url, *arguments))

    def command(port: int) -> Sequence[str]:
        options = ["serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return dotpeen_command(parts.registry, parts.url, *options)

    return Service("dotpeen", command, ENVIRONMENT, {"Authorization": f"Bearer {_token(answer)}"})


PEERS: Final[dict[str, Callable[[Parts], Service]]] = {
    "fastapi-sqlmodel": fastapi_sqlmodel,
    "express-prisma": express_prisma,
    "express-pg": express_pg,
    "dotpeen": ours,
}


@contextmanager
def running(service: Service, folder: Path, ready: str) -> Iterator[Running]:
    """Start the server in a process of its own and end it. It is up once `ready`, a path, is answered with 200."""
    port = free_port()
    log = folder / f"{service.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            service.command(port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, "NODE_ENV": "production", "PORT": str(port), **service.environment},
        )
    try:
        server = Running(service, port, process.pid)
        _wait(server, process, ready, log)
        yield server
    finally:
        _stop(process)


def verify(server: Running, parts: Sequence[Part]) -> float:
    """Fail unless the server answers for these parts, with every column, and without the primary key.

    Returns the mean length of the answers in bytes.
    """
    total = 0
    for part in parts:
        status, body = server.request("GET", f"{ROUTE}/{part.uuid}")
        assert status == 200, f"{server.service.name}: {status} {body!r}"
        answer = json.loads(body)
        check_part(answer.get("data", answer), part)
        assert part.id.encode() not in body, f"{server.service.name} tells the primary key: {body!r}"
        total += len(body)
    return total / len(parts)


def check_part(answer: dict[str, Any], part: Part) -> None:
    for name, expected in part.values.items():
        value = answer[name]
        if isinstance(expected, datetime):
            # Without a zone it is UTC.
            value = datetime.fromisoformat(value).replace(tzinfo=None)
        elif expected is not None:
            expected = str(expected)
        assert value == expected, f"{name}: {value!r} instead of {expected!r}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def versions() -> dict[str, str]:
    """What was measured, by name."""
    packages = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    wanted = ("express", "@prisma/client", "@prisma/adapter-pg", "pg")
    found = {name: packages["dependencies"][name] for name in wanted}
    for line in (SOURCES / "requirements.txt").read_text(encoding="utf-8").split():
        name, _, version = line.partition("==")
        found[name] = version
    found["Python"] = sys.version.split()[0]
    if shutil.which("node"):
        found["Node.js"] = subprocess.check_output(["node", "--version"], text=True).strip().removeprefix("v")  # noqa: S607
    return found


def _python_environment() -> Path:
    folder = CACHE / "python"

    def install() -> None:
        requirements = str(SOURCES / "requirements.txt")
        _install(["uv", "venv", "--clear", "--python", sys.executable, str(folder)], CACHE)
        _install(["uv", "pip", "install", "--python", str(folder), "-r", requirements], CACHE)

    _once(folder, ["requirements.txt"], install)
    return folder


def _node_service(name: str, script: str, parts: Parts) -> Service:
    folder = _node_environment()
    return Service(name, lambda _port: ["node", str(folder / script)], {"DATABASE_URL": parts.url})


def _node_environment() -> Path:
    folder = CACHE / "node"
    files = ["package.json", "schema.prisma", "express-prisma.ts", "express-pg.js"]

    def install() -> None:
        for file in files:
            shutil.copy(SOURCES / file, folder)
        # The scripts of Prisma's packages fetch engines from its own server; its client needs none.
        _install(
            ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"], folder
        )
        programs = folder / "node_modules" / ".bin"
        _install(
            [str(programs / "prisma"), "generate", "--schema", "schema.prisma"],
            folder,
            # The engine of migrations, which generating does not use: named, it is not fetched.
            PRISMA_SCHEMA_ENGINE_BINARY=shutil.which("true") or "/bin/true",
            CHECKPOINT_DISABLE="1",
        )
        options = ["--bundle", "--platform=node", "--format=esm", "--packages=external"]
        _install(
            [str(programs / "esbuild"), "express-prisma.ts", *options, "--outfile=express-prisma.mjs"], folder
        )

    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise MissingError(f"{program} is not installed")
    _once(folder, files, install)
    return folder


def _once(folder: Path, files: Sequence[str], install: Callable[[], None]) -> None:
    """Install unless this was done with the same sources."""
    digest = hashlib.sha256(b"".join((SOURCES / file).read_bytes() for file in files)).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    folder.mkdir(parents=True, exist_ok=True)
    install()
    stamp.write_text(digest, encoding="ascii")


def _install(command: Sequence[str], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _token(answer: dict[str, Any]) -> str:
    """Find the token, wherever the answer has it."""
    for name, value in answer.items():
        if name == "token" and isinstance(value, str):
            return value
        if isinstance(value, dict):
            with suppress(LookupError):
                return _token(value)
    raise LookupError(f"no token among {sorted(answer)}")


def _wait(server: Running, process: subprocess.Popen[bytes], path: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    seen = "no connection"
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            status, body = server.request("GET", path)
            if status == 200:
                return
            seen = f"{status} {body[:500]!r}"
        time.sleep(0.1)
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise SystemExit(f"{server.service.name} did not start: {seen}\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all below it."""
    everyone: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        everyone = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in everyone:
        with suppress(psutil.NoSuchProcess):
            left.kill()
