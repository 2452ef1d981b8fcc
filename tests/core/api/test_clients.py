"""Clients that standard generators make from the document, type-checked and used against the running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Api

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENTS = Path(__file__).parent / "clients"
GENERATOR = "openapi-python-client==0.29.1"
UNKNOWN = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """What a command prints; a command that fails is shown with all of it."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def described(api: Api, tmp_path: Path) -> Path:
    """The document, as the server gives it out."""
    file = tmp_path / "openapi.json"
    file.write_bytes(httpx.get(f"{api.url}/openapi.json").content)
    return file


def expected(api: Api) -> dict[str, Any]:
    """What both clients are to find, asked without them."""
    lots = api.get(
        "/api/v1/external/material-lots",
        params={"status": ["AVAILABLE", "CONSUMED"], "sort": "-lotNumber", "limit": 500},
    ).json()["data"]
    parts = api.get("/api/v1/external/parts", params={"limit": 3}).json()["data"]
    assert len(lots) > 4, "too few to be several pages"
    return {
        "listed": [lot["lotNumber"] for lot in lots],
        "one": parts[0],
        "again": parts[0],
        "batch": [part["persistentUuid"] for part in parts],
        "notFound": [UNKNOWN],
        "number": parts[0]["partNumber"],
        "status": 404,
        "problem": "/problems/not-found",
        "uuid": UNKNOWN,
    }


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv, which runs the generator, is not installed")
def test_a_python_client_works(api: Api, described: Path, tmp_path: Path) -> None:
    # The generator runs by itself: it wants other versions than the tests.
    run(
        *("uv", "tool", "run", "--from", GENERATOR, "openapi-python-client", "generate", "--fail-on-warning"),
        *("--path", described, "--output-path", tmp_path / "dotpeen_client", "--meta", "none"),
        folder=tmp_path,
    )
    shutil.copy(CLIENTS / "python" / "use.py", tmp_path / "use.py")
    # Of the generator's own making, and the same for every document.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-dotpeen_client.client]\nignore_errors = True\n"
    )
    run(sys.executable, "-m", "mypy", "use.py", folder=tmp_path)
    printed = run(sys.executable, "use.py", folder=tmp_path, API_URL=api.url, API_TOKEN=api.token)
    assert json.loads(printed) == expected(api)


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js with npm is not installed")
def test_a_typescript_client_works(api: Api, described: Path, tmp_path: Path) -> None:
    folder = tmp_path / "typescript"
    shutil.copytree(CLIENTS / "typescript", folder)
    run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    run("npx", "--no-install", "openapi-typescript", described, "-o", "schema.d.ts", folder=folder)
    run("npx", "--no-install", "tsc", "--noEmit", folder=folder)
    run("npx", "--no-install", "tsc", folder=folder)
    printed = run("node", "out/use.js", folder=folder, API_URL=api.url, API_TOKEN=api.token)
    assert json.loads(printed) == expected(api)
