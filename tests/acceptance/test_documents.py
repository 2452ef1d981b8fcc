"""Documents and plugins' routes of `dotpeen serve`, with several workers, and its end while they are under way."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from acceptance.serving import INTERNAL_TOKEN, Serving, wait_for
from core.api.conftest import build
from core.foreign import foreign
from dotpeen.database import connect
from dotpeen.partners import Scope, store

__all__ = ["foreign"]

pytestmark = pytest.mark.slow


def test_workers_export_and_end_in_time(run_dotpeen: Any, template_database: Any, foreign: Path) -> None:
    url = template_database("api", build)
    with connect(url, purpose="test") as connection:
        token = store.add(connection, "Acme", {Scope("*", "read")}, by="tests").token.text
    with psycopg.connect(url) as connection:
        row = connection.execute('SELECT "persistentUuid"::text FROM "Part" LIMIT 1').fetchone()
    assert row is not None
    serving = Serving(
        run_dotpeen,
        url,
        *("--workers", "2"),
        settings='request_timeout = "1s"\n[plugins.crane]\n[plugins.threads]',
        env={"PYTHONPATH": str(foreign)},
    )
    part = f"{serving.url}/api/v1/external/parts/{row[0]}"
    headers = {"authorization": f"Bearer {token}"}
    for _ in range(6):  # whichever worker answers
        large = httpx.get(f"{part}/export/large?megabytes=2", headers=headers)
        assert (large.status_code, large.content) == (200, bytes(2 << 20))
        assert httpx.get(f"{part}/load", headers=headers).json() == {"tonnes": 3.5, "crane": "Acme"}
        thread = httpx.get(f"{serving.url}/api/v1/external/resolve/{row[0]}", headers=headers).json()
        assert len(thread["data"]["thread"]) == 2
    inside = {"authorization": f"Bearer {INTERNAL_TOKEN}"}
    assert httpx.get(f"{serving.url}/api/cranes", headers=inside).json() == ["north", "south"]
    with (
        httpx.stream("GET", f"{part}/export/broken", headers=headers) as broken,
        pytest.raises(httpx.HTTPError),
    ):
        broken.read()
    wait_for(lambda: any("was cut off" in line.get("event", "") for line in serving.log), "it is logged")
    assert "secret of the plant" not in serving.output
    with httpx.stream("GET", f"{part}/export/endless", headers=headers) as endless:
        pieces = endless.iter_raw()
        next(pieces)
        began = time.monotonic()
        serving.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            for _ in pieces:
                pass
    assert serving.process.wait(30) == 0
    assert time.monotonic() - began < 15
    with psycopg.connect(url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dotpeen export%'"
            " AND datname = current_database()"
        ).fetchone()
    assert left == (0,)
