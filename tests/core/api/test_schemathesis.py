"""Schemathesis against the running server, all of its checks: no failure, and no answer that is not documented.

Seeds are fixed. It runs in an environment of its own: it wants other versions than the tests, and would add itself to
their pytest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dotpeen.api.openapi import document
from dotpeen.database import connect
from dotpeen.records import load_shapes

from .conftest import Api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv, which runs schemathesis, is not installed"),
]

SCHEMATHESIS = "schemathesis==4.32.5"
FUZZING = Path(__file__).parent / "fuzzing"
EXAMPLES = 6
"""Requests that are made up for each operation in each mode, beside those that cover its schema."""
SEED = 20261122


class Fuzz:
    """Runs schemathesis on the operations of a document, with records that there are."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.folder = folder
        with connect(api.database, purpose="test") as connection:
            self.shapes = load_shapes(connection, api.registry)

    def __call__(
        self, token: str | None, *selection: str, internal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        described = self.folder / "openapi.json"
        described.write_text(json.dumps(document(self.api.registry, self.shapes, internal=internal)))
        configuration = self.folder / "schemathesis.toml"
        configuration.write_text(self._configuration(), encoding="utf-8")
        sent = ["-H", f"Authorization: Bearer {token}"] if token else []
        return subprocess.run(
            [
                *("uv", "tool", "run", "--from", SCHEMATHESIS, "schemathesis"),
                *("--config-file", configuration, "run", described, "--url", self.api.url),
                *("--checks", "all", "--max-examples", str(EXAMPLES), "--no-color", "--continue-on-failure"),
                *("--suppress-health-check", "all", "--warnings", "off"),
                *sent,
                *selection,
            ],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(FUZZING), "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def _configuration(self) -> str:
        """Half of the identifiers are of records that there are: what is made up finds none."""
        known, bound = [], []
        for shape in self.shapes.values():
            name, path = shape.entity.name, shape.entity.path
            answer = self.api.get(f"/api/{path}", internal=True, params={"limit": 20})
            records = answer.json()["data"]
            for value, column in (("uuid", "persistentUuid"), ("id", "id")):
                values = json.dumps([record[column] for record in records])
                known.append(f"[dictionaries.{name}_{value}]\nvalues = {values}\n")
            bound.append(
                f'[[operations]]\ninclude-tag = "{name}"\n[operations.parameters]\n'
                f'"path.uuid" = {{ dictionary = "{name}_uuid", probability = 0.5 }}\n'
                f'"path.id" = {{ dictionary = "{name}_id", probability = 0.5 }}\n'
                f'"path.identifier" = {{ dictionary = "{name}_uuid", probability = 0.5 }}\n'
            )
        # PostgreSQL's text has no NUL; that it is refused is tested elsewhere.
        return (
            f'seed = {SEED}\nhooks = "refusals"\n[generation]\nallow-x00 = false\ndatabase = "none"\n'
            # A change that names no record to refer to is refused for what it says, not for its form.
            "[checks]\npositive_data_acceptance.expected-statuses = "
            '["2xx", "3xx", "401", "403", "404", "409", "412", "422"]\n' + "".join([*known, *bound])
        )


@pytest.fixture
def fuzz(own_api: Api, tmp_path: Path) -> Fuzz:
    return Fuzz(own_api, tmp_path)


def test_the_external_surface_keeps_to_its_document(fuzz: Fuzz) -> None:
    done = fuzz(fuzz.api.token, "--include-path-regex", "^/api/v1/external/")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_internal_surface_keeps_to_its_document(fuzz: Fuzz) -> None:
    # Two entities have all there is: a composite identifier, links in both directions, columns of every kind.
    entities = ("--include-tag", "Part", "--include-tag", "QIFCharacteristic")
    done = fuzz(
        fuzz.api.internal_token,
        *entities,
        "--exclude-path-regex",
        "^/(oauth|api/v1/external)/",
        internal=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_token_endpoint_keeps_to_its_document(fuzz: Fuzz) -> None:
    done = fuzz(None, "--include-path", "/oauth/token")
    assert done.returncode == 0, done.stdout + done.stderr
