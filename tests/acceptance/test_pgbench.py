"""pgbench runs throughout: the bank's books are right afterwards, and no transaction failed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dotpeen.database import embedded
from dotpeen.registry import parse_registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCALE = 10
TABLES = {"pgbench_accounts": "aid", "pgbench_branches": "bid", "pgbench_tellers": "tid"}
BALANCES = {"accounts": "abalance", "tellers": "tbalance", "branches": "bbalance", "history": "delta"}


def pgbench(url: str, *options: str, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(embedded.program("pgbench")), *options, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **how,
    )


@pytest.fixture
def bank(template_database: Any) -> str:
    """A million accounts."""

    def build(url: str) -> None:
        process = pgbench(url, "-i", "-q", "-s", str(SCALE))
        output, _ = process.communicate()
        assert process.returncode == 0, output

    return str(template_database("pgbench", build))


@pytest.fixture
def customers(bank: str) -> Iterator[subprocess.Popen[str]]:
    """Four customers who move money until they are told to stop."""
    process = pgbench(bank, "-c", "4", "-j", "2", "-n", "-T", "540")
    time.sleep(2)
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def keys(url: str) -> dict[str, Any]:
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(
                f"SELECT count(*), max({key}), sum({key}), sum({key} * {key}::numeric) FROM {table}"
            ).fetchone()
            for table, key in TABLES.items()
        }


def test_init_proposes_all_but_the_table_without_key(bank: str, run_dotpeen: Any) -> None:
    done = run_dotpeen("init", "--database-url", bank)
    assert done.returncode == 0, done.stderr
    proposed = parse_registry(done.stdout).entities
    assert {entity.table.name: entity.primary_key for entity in proposed.values()} == {
        table: (key,) for table, key in TABLES.items()
    }
    reason = "# no primary key, nor a unique index over columns that are never null:\n#   pgbench_history\n"
    assert reason in done.stdout


def test_migration_under_load(bank: str, customers: subprocess.Popen[str], run_dotpeen: Any) -> None:
    registry: Path = run_dotpeen.folder / "bank.toml"
    before = keys(bank)
    assert run_dotpeen("init", "--database-url", bank, "-o", registry).returncode == 0
    options = ("-r", registry, "--database-url", bank)
    assert run_dotpeen(*options, "check").returncode == 0
    migrated = run_dotpeen(*options, "migrate", "up", timeout=480)
    assert migrated.returncode == 0, migrated.stderr
    assert customers.poll() is None, "the load ended before the migration did"
    verified = run_dotpeen(*options, "migrate", "verify", timeout=300)
    assert verified.returncode == 0, verified.stdout

    # pgbench ends its -T by this signal: it finishes its transactions and reports.
    customers.send_signal(signal.SIGALRM)
    report, _ = customers.communicate(timeout=60)
    assert customers.returncode == 0, report
    assert "number of failed transactions: 0 (0.000%)" in report
    assert "ERROR" not in report
    with psycopg.connect(bank) as connection:
        sums = [
            connection.execute(f"SELECT sum({column}) FROM pgbench_{table}").fetchone()
            for table, column in BALANCES.items()
        ]
        assert len(set(sums)) == 1, sums
        for table in TABLES:
            counts = f"SELECT count(*), count(persistent_uuid), count(DISTINCT persistent_uuid) FROM {table}"
            assert len(set(connection.execute(counts).fetchone() or ())) == 1
    assert keys(bank) == before
