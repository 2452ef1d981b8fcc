"""Fixtures of all tests: the server of the run, private databases, the command line as a fresh process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from postgres import Build, Run, Server

# Machines that are busy with something else must not fail a test.
settings.register_profile("dotpeen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dotpeen")

ROOT = Path(__file__).resolve().parents[1]
_RUN = pytest.StashKey[Run]()
_GUARD = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        metavar="BINDIR",
        default=os.environ.get("DOTPEEN_TEST_POSTGRES"),
        help="Run the database tests on a server made with the initdb and pg_ctl of this folder, "
        "instead of the embedded PostgreSQL. [env: DOTPEEN_TEST_POSTGRES]",
    )


def pytest_configure(config: pytest.Config) -> None:
    option = config.getoption("--postgres")
    binaries = Path(option) if option else None
    if binaries is not None and not (binaries / "initdb").exists():
        raise pytest.UsageError(f"--postgres: no initdb in {binaries}")
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[_RUN] = Run(Path(worker["dotpeen_run"]), binaries)
        return
    config.stash[_RUN] = Run.create(binaries)
    if sys.dont_write_bytecode:
        config.stash[_RUN].keep_bytecode()
    config.stash[_GUARD] = config.stash[_RUN].start_guard()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores: tests wait for PostgreSQL, for locks and for processes they start."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell one of xdist's workers which run it belongs to."""
    node.workerinput["dotpeen_run"] = str(node.config.stash[_RUN].folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


def pytest_unconfigure(config: pytest.Config) -> None:
    guard = config.stash.get(_GUARD, None)
    if guard is not None:
        guard.communicate()


@pytest.fixture(scope="session")
def test_run(request: pytest.FixtureRequest) -> Run:
    """What the workers of this test run share, for tests that make a server of their own."""
    return request.config.stash[_RUN]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """The server of this run, for tests that make databases by themselves."""
    run = request.config.stash[_RUN]
    return Server(run, run.server_url())


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    """The server's maintenance database, as its superuser. Leave it as it is."""
    return server.url


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """An empty private database."""
    url = server.create()
    yield url
    server.drop(url)


class TemplateDatabase(Protocol):
    def __call__(self, name: str, build: Build) -> str: ...


@pytest.fixture
def template_database(server: Server) -> Iterator[TemplateDatabase]:
    """`template_database("plant", build)` is a private copy of what `build(url)` makes once per run."""
    copies = []

    def copy(name: str, build: Build) -> str:
        url = server.create(server.template(name, build))
        copies.append(url)
        return url

    yield copy
    for url in copies:
        server.drop(url)


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Dotpeen:
    """Runs the command line as a user does: a fresh process in a folder of its own."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self._run = run
        self._folders: set[Path] = set()
        self._started: list[subprocess.Popen[str]] = []

    def __call__(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - named as in subprocess.run
        timeout: float = 120,
    ) -> Finished:
        """Run `dotpeen ARGUMENTS` to its end."""
        process = self.start(*arguments, cwd=cwd, env=env)
        stdout, stderr = process.communicate(input, timeout=timeout)
        return Finished(process.returncode, stdout, stderr)

    def start(
        self, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `dotpeen ARGUMENTS` and return its process, to be signalled. Killed after the test."""
        folder = cwd or self.folder
        if folder not in self._folders:
            self._folders.add(folder)
            self._run.watch(folder / ".dotpeen" / "postgres")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOTPEEN_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "dotpeen", *map(str, arguments)],
            cwd=folder,
            env=inherited
            | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONUTF8": "1"}
            | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        from dotpeen.database import embedded

        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate() if process.stdout and not process.stdout.closed else process.wait()
        for folder in self._folders:
            embedded.stop(folder / ".dotpeen" / "postgres")


@pytest.fixture
def run_dotpeen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dotpeen]:
    """`run_dotpeen("check", "-r", file)` runs the command line in `tmp_path` to its end."""
    dotpeen = Dotpeen(tmp_path, request.config.stash[_RUN])
    yield dotpeen
    dotpeen.close()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def standards() -> Path:
    """The folder with the QIF and STEP schemas and samples, which are not ours to ship."""
    folder = Path(os.environ.get("DOTPEEN_STANDARDS") or ROOT.parent / "shared" / "standards")
    if not folder.is_dir():
        pytest.skip(f"no standards in {folder}: set DOTPEEN_STANDARDS to the folder with qif/ and step/")
    return folder


def _terminated(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


# `timeout` and CI end a run with SIGTERM: let fixtures finish, as they do on Ctrl-C.
signal.signal(signal.SIGTERM, _terminated)
