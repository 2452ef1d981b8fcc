"""What STEP files are read and written with, each run in a fresh process that tells its time and its memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE / "step"
CACHE: Final = HERE / ".cache"

ABOUT: Final = {
    "inspect": "dotpeen step inspect",
    "occ-read": "Open CASCADE, entities only",
    "occ-open": "Open CASCADE, shapes and names",
    "steputils": "steputils",
    "stamp": "dotpeen step stamp",
    "copy": "copy",
    "stamp-unsynced": "dotpeen step stamp, no fsync",
    "copy-unsynced": "copy, no fsync",
}
PEERS: Final = ("occ-read", "occ-open", "steputils")


@dataclass(frozen=True)
class Run:
    """One run of one method on one file."""

    seconds: float
    """Of the work itself: imports and start left out."""
    process: float
    """Seconds from start to end of the process."""
    cpu: float
    """Seconds of CPU that the process used, start and imports included."""
    peak: float
    """MB."""


class FailedError(Exception):
    """A run that came to nothing, and why."""


def run(name: str, file: Path, *, timeout: float) -> Run:
    """Do it in a fresh process. Raises `FailedError`."""
    if name in PEERS:
        command = [str(python()), str(SOURCES / "read.py"), name, str(file)]
    else:
        command = [sys.executable, str(HERE / "step_own.py"), name, str(file)]
    return _timed(command, timeout)


def _timed(command: Sequence[str], timeout: float) -> Run:
    started = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise FailedError(f"not done after {timeout:g} s") from None
    process = time.perf_counter() - started
    if done.returncode:
        raise FailedError(((done.stderr or done.stdout).strip().splitlines() or ["failed"])[-1])
    answer = json.loads(done.stdout.splitlines()[-1])
    return Run(answer["seconds"], process, answer["cpu"], answer["peak"])


def python() -> Path:
    """Return the Python of the peers' environment, made when it is first asked for."""
    folder = CACHE / "step"
    requirements = SOURCES / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text(encoding="ascii") != digest:
        CACHE.mkdir(parents=True, exist_ok=True)
        for command in (
            ["uv", "venv", "--clear", "--python", sys.executable, str(folder)],
            ["uv", "pip", "install", "--python", str(folder), "-r", str(requirements)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        stamp.write_text(digest, encoding="ascii")
    return folder / "bin" / "python"


def versions() -> dict[str, str]:
    """What was measured, by name."""
    lines = (SOURCES / "requirements.txt").read_text(encoding="utf-8").split()
    found = {name: version for name, _, version in (line.partition("==") for line in lines)}
    return found | {"Python": sys.version.split()[0]}
