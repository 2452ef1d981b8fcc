"""`dotpeen partner`, `audit` and `api` as an administrator runs them."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def dotpeen(run_dotpeen: Any, database: str, repository: Path) -> Any:
    """Runs a command on an empty database with the default registry."""

    def run(*arguments: str) -> Any:
        return run_dotpeen("-r", repository / "registry.toml", "--database-url", database, *arguments)

    return run


def test_from_the_first_token_to_its_end(dotpeen: Any) -> None:
    added = dotpeen("partner", "add", "Acme Metrology", "--scope", "Part:read")
    assert added.returncode == 0
    (token,) = added.stdout.splitlines()
    assert token.startswith("dp_")
    assert "never shown again" in added.stderr
    shown = dotpeen("partner", "show", "acme metrology", "--json")
    assert (shown.returncode, shown.stderr, shown.json["status"]) == (0, "", "active")
    revoked = dotpeen("partner", "revoke", "Acme Metrology")
    assert (revoked.returncode, revoked.stdout) == (0, "")
    listed = dotpeen("partner", "list", "--json")
    assert [partner["status"] for partner in listed.json["partners"]] == ["revoked"]
    audit = dotpeen("audit", "--json")
    assert (audit.returncode, audit.stderr, audit.json) == (0, "", {"entries": []})


def test_errors_are_messages(dotpeen: Any) -> None:
    failed = dotpeen("partner", "add", "acme", "--scope", "Prat:read")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.splitlines()[0] == "Error: 'Prat:read': no entity 'Prat' in the registry"
    assert failed.stderr.splitlines()[1].startswith("  → did you mean Part?")


def test_a_database_that_does_not_answer_ends_with_2(run_dotpeen: Any, repository: Path) -> None:
    failed = run_dotpeen(
        *("-r", repository / "registry.toml", "--database-url", "postgresql://127.0.0.1:1/x", "api", "status")
    )
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "Traceback" not in failed.stderr
    assert failed.stderr.startswith("Error: can't connect to database x on 127.0.0.1:1")
