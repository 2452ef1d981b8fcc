"""`dotpeen partner`, `dotpeen audit`, `dotpeen api`: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.database.test_schema import upgrade_to
from dotpeen.cli import context as cli_context
from dotpeen.cli.app import app
from dotpeen.errors import DotpeenError
from dotpeen.partners.audit import audit_id
from dotpeen.partners.tokens import read_token
from dotpeen.registry import load_registry

from .site import Site
from .test_audit import NOON, UUID_1, entry, write

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Command = Callable[..., Ended]


def runner(registry: Path, url: str) -> Command:
    def run(*arguments: str, columns: str | None = None) -> Ended:
        options = ["-r", str(registry), "--database-url", url]
        environment = {"COLUMNS": columns or "200", "NO_COLOR": "1", "TERM": "dumb"}
        result = CliRunner().invoke(app, [*options, *arguments], env=environment)
        error = result.exception
        if isinstance(error, DotpeenError):
            return Ended(error.exit_code, result.stdout, f"{error.message} | {error.hint}")
        assert error is None or isinstance(error, SystemExit), error
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def dotpeen(site: Site, repository: Path) -> Command:
    """Runs a command in this process, on a site with the default registry."""
    return runner(repository / "registry.toml", site.url)


def test_the_token_alone_is_on_standard_output(dotpeen: Command) -> None:
    added = dotpeen("partner", "add", "Acme", "--scope", "Part:read")
    assert added.code == 0
    token = read_token(added.stdout.removesuffix("\n"))
    assert added.stderr.startswith("Added Acme. This token is never shown again")
    assert f"client id {token.id}" in added.stderr
    for later in (dotpeen("partner", "show", "acme"), dotpeen("partner", "show", "acme", "--json")):
        assert token.id in later.stdout
        assert added.stdout.strip().split("_", 2)[2] not in later.stdout + later.stderr


def test_with_json_it_is_in_the_document(dotpeen: Command) -> None:
    added = dotpeen(
        *("partner", "add", "Acme", "--scope", "Part:read", "--scope", "*:read", "--rate-limit", "600/min"),
        *("--expires", "90d", "--json"),
    )
    document = added.json
    token = read_token(document["token"])
    assert (document["client_id"], document["token"].endswith(document["client_secret"])) == (token.id, True)
    assert document["client_secret"] not in added.stderr
    partner = document["partner"]
    assert (partner["name"], partner["status"], partner["scopes"], partner["rate_limit"]) == (
        *("Acme", "active", ["*:read", "Part:read"], "600/min"),
    )
    (kept,) = partner["tokens"]
    expires = datetime.fromisoformat(kept["expires_at"])
    assert abs(expires - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    assert dotpeen("partner", "show", "ACME", "--json").json == partner
    assert dotpeen("partner", "list", "--json").json == {"partners": [partner]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope", "part:read"], "no entity 'part' in the registry | did you mean Part?"),
        (["--scope", "WorkOrdr:read"], "did you mean WorkOrder?"),
        (["--scope", "Part:reed"], "no verb 'reed' | did you mean 'Part:read'?"),
        (["--scope", "Part"], "'Part' is no scope"),
        (["--scope", "*:read", "--rate-limit", "600"], "'600' is no rate limit | write 10/s"),
        (["--scope", "*:read", "--expires", "90 days"], "--expires '90 days' is no duration"),
        (["--scope", "*:read", "--expires", "0"], "a token is made for longer than nothing"),
        ([], "Missing option '--scope'"),
    ],
)
def test_wrong_usage_ends_with_2_and_adds_nobody(
    dotpeen: Command, arguments: Sequence[str], said: str
) -> None:
    failed = dotpeen("partner", "add", "acme", *arguments)
    assert (failed.code, failed.stdout) == (2, "")
    assert said in failed.stderr
    assert dotpeen("partner", "list", "--json").json == {"partners": []}


def test_a_name_that_is_taken_ends_with_2(dotpeen: Command) -> None:
    dotpeen("partner", "add", "Acme", "--scope", "*:read")
    again = dotpeen("partner", "add", "ACME", "--scope", "*:read")
    assert (again.code, again.stdout) == (2, "")
    assert again.stderr == "partner 'Acme' exists | dotpeen partner rotate 'Acme' makes a new token for it"


@pytest.mark.parametrize("command", [["show"], ["rotate"], ["revoke"], ["change", "--rate-limit", "0"]])
def test_an_unknown_partner_names_a_close_one(dotpeen: Command, command: list[str]) -> None:
    dotpeen("partner", "add", "Acme", "--scope", "*:read")
    failed = dotpeen("partner", *command, "Amce")
    assert (failed.code, failed.stdout, failed.stderr) == (2, "", "no partner 'Amce' | did you mean 'Acme'?")


def test_rotating_prints_the_new_token_and_says_until_when_the_old_one_is_good(dotpeen: Command) -> None:
    old = read_token(dotpeen("partner", "add", "acme", "--scope", "*:read").stdout.strip())
    rotated = dotpeen("partner", "rotate", "acme", "--overlap", "7d")
    new = read_token(rotated.stdout.strip())
    assert rotated.stderr.startswith("Made a new token for acme; older ones are good for 7d more at most.")
    tokens = dotpeen("partner", "show", "acme", "--json").json["tokens"]
    assert [(token["id"], token["status"]) for token in tokens] == [(old.id, "valid"), (new.id, "valid")]
    at_once = dotpeen("partner", "rotate", "acme", "--overlap", "0", "--expires", "1h", "--json").json
    assert [token["status"] for token in at_once["partner"]["tokens"]] == ["expired", "expired", "valid"]
    endless = dotpeen("partner", "rotate", "acme", "--expires", "never", "--json").json
    assert endless["partner"]["tokens"][-1]["expires_at"] is None


def test_revoking_a_partner_or_a_token(dotpeen: Command) -> None:
    token = read_token(dotpeen("partner", "add", "acme", "--scope", "*:read").stdout.strip())
    dotpeen("partner", "rotate", "acme")
    one = dotpeen("partner", "revoke", "acme", "--token", token.id)
    assert (one.code, one.stdout, one.stderr) == (0, "", f"Revoked token {token.id} of acme.\n")
    assert dotpeen("partner", "revoke", "acme", "--token", "0" * 16).code == 2
    everything = dotpeen("partner", "revoke", "acme", "--json")
    assert (everything.code, everything.json["status"]) == (0, "revoked")
    assert [one["status"] for one in everything.json["tokens"]] == ["revoked", "revoked"]
    listed = dotpeen("partner", "list").stdout.splitlines()[1].split()
    assert listed == ["acme", "revoked", "*:read", "default", "0"]
    assert dotpeen("partner", "show", "acme").stdout.count("revoked 2") == 2
    for what, said in (
        ([], "acme and all its tokens were revoked already, 2"),
        (["--token", token.id], f"Token {token.id} of acme was revoked already, 2"),
    ):
        twice = dotpeen("partner", "revoke", "acme", *what)
        assert (twice.code, twice.stderr.startswith(said)) == (0, True), twice.stderr
    again = dotpeen("partner", "rotate", "acme")
    assert (again.code, again.stdout) == (2, "")
    assert "add it again under another name" in again.stderr


def test_ids_and_scopes_are_whole_however_narrow_it_is(dotpeen: Command, repository: Path) -> None:
    entities = load_registry(repository / "registry.toml").entities
    scopes = [f"{name}:read" for name in entities]
    options = [word for scope in scopes for word in ("--scope", scope)]
    token = read_token(dotpeen("partner", "add", "acme", *options).stdout.strip())
    for columns in (None, "40", "80", "100"):
        listed = dotpeen("partner", "list", columns=columns).stdout
        shown = dotpeen("partner", "show", "acme", columns=columns).stdout
        assert token.id in shown
        for text in (listed, shown):
            assert "…" not in text
            assert all(scope in text for scope in scopes) or columns is not None
    assert ", ".join(sorted(scopes)) in dotpeen("partner", "list").stdout


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("Part:write", "acme: Part:write allows nothing yet: [entities.Part] of {} has no `writable`.\n"),
        ("*:write", "acme: *:write allows nothing yet: no entity of {} has a `writable`.\n"),
        ("Part:read", ""),
    ],
)
def test_a_scope_that_allows_nothing_is_said(site: Site, tmp_path: Path, scope: str, said: str) -> None:
    (tmp_path / "registry.toml").write_text("[entities.Part]\n", encoding="utf-8")
    dotpeen = runner(tmp_path / "registry.toml", site.url)
    said = said.format(tmp_path / "registry.toml")
    assert dotpeen("partner", "add", "acme", "--scope", scope).stderr.endswith(said or "the token itself.\n")
    assert dotpeen("partner", "list").stderr == dotpeen("partner", "show", "acme").stderr == said
    (tmp_path / "writable.toml").write_text('[entities.Part]\nwritable = ["status"]\n', encoding="utf-8")
    (tmp_path / "wrong.toml").write_text("[entities.Part]\nwrong = 1\n", encoding="utf-8")
    for name in ("writable.toml", "wrong.toml", "none.toml"):
        assert runner(tmp_path / name, site.url)("partner", "show", "acme").stderr == ""


def test_routes_of_plugins_that_take_a_scope_to_write_are_named(site: Site, tmp_path: Path) -> None:
    registry = tmp_path / "step.toml"
    registry.write_text("[plugins.step]\n[entities.Part]\n[entities.WorkOrder]\n", encoding="utf-8")
    dotpeen = runner(registry, site.url)
    routes = (
        "Routes of plugins take it: POST /api/v1/external/parts/{uuid}/cad-link,"
        " DELETE /api/v1/external/parts/{uuid}/cad-link/{step_uuid}.\n"
    )
    for scope, where in (
        ("Part:write", "[entities.Part] of {} has no"),
        ("*:write", "no entity of {} has a"),
    ):
        said = dotpeen("partner", "add", scope[0], "--scope", scope).stderr.splitlines(keepends=True)[-1]
        because = where.format(registry)
        assert (
            said == f"{scope[0]}: {scope} changes no column of its own accord: {because} `writable`. {routes}"
        )
    said = dotpeen("partner", "add", "orders", "--scope", "WorkOrder:write").stderr
    assert (
        f"WorkOrder:write allows nothing yet: [entities.WorkOrder] of {registry} has no `writable`." in said
    )


def test_on_a_terminal_revoking_asks_first(dotpeen: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    dotpeen("partner", "add", "acme", "--scope", "*:read")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    asked: list[str] = []
    monkeypatch.setattr(cli_context.typer, "confirm", lambda question, err: asked.append(question))
    assert dotpeen("partner", "revoke", "acme").code == 1
    assert asked == ["Revoke acme and all its tokens? It can't be taken back."]
    assert dotpeen("partner", "show", "acme", "--json").json["status"] == "active"
    assert dotpeen("partner", "revoke", "acme", "--yes").code == 0
    assert len(asked) == 1


def test_scopes_and_limit_are_changed(dotpeen: Command) -> None:
    dotpeen("partner", "add", "acme", "--scope", "*:read")
    changed = dotpeen(
        "partner", "change", "acme", "--scope", "Part:write", "--rate-limit", "0", "--json"
    ).json
    assert (changed["scopes"], changed["rate_limit"]) == (["Part:write"], "unlimited")
    assert (
        dotpeen("partner", "change", "acme", "--rate-limit", "default", "--json").json["rate_limit"] is None
    )
    assert "rate limit  default" in dotpeen("partner", "change", "acme", "--rate-limit", "default").stdout
    assert dotpeen("partner", "change", "acme").code == 2
    assert dotpeen("partner", "change", "acme", "--scope", "Prt:read").code == 2


def test_before_anything_was_installed_reading_finds_nothing_and_installs_nothing(
    database: str, repository: Path
) -> None:
    dotpeen = runner(repository / "registry.toml", database)
    assert dotpeen("partner", "list", "--json").json == {"partners": []}
    assert "There is no partner yet" in dotpeen("partner", "list").stderr
    assert dotpeen("audit", "--json").json == {"entries": []}
    assert dotpeen("audit", "prune", "--before", "1d", "--yes", "--json").json["deleted"] == 0
    assert dotpeen("api", "status", "--json").json["external"]["enabled"] is True
    assert dotpeen("partner", "revoke", "acme").code == 2
    site = Site(database)
    assert site.rows("SELECT to_regnamespace('dotpeen')") == [(None,)]
    site.close()


def test_external_access_is_switched_off_and_on(dotpeen: Command) -> None:
    off = dotpeen(
        "api", "disable", "external", "--reason", "Inventory", "--retry-after", "5min", "--json"
    ).json
    assert (off["external"]["enabled"], off["external"]["reason"]) == (False, "Inventory")
    assert off["external"]["retry_after_seconds"] == 300
    assert dotpeen("api", "status", "--json").json == off
    said = dotpeen("api", "status").stdout
    assert said.startswith("External access is off since ")
    assert said.endswith("partners are told to try again after 300 s. Reason: Inventory\n")
    assert dotpeen("api", "enable", "external").stdout.startswith("External access is on since ")
    assert dotpeen("api", "status", "--json").json["external"]["reason"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["disable", "internal"],
        ["disable"],
        ["disable", "external", "--reason", ""],
        ["disable", "external", "--reason", "two\nlines"],
        ["disable", "external", "--retry-after", "0"],
        ["disable", "external", "--retry-after", "soon"],
    ],
)
def test_a_switch_that_makes_no_sense_ends_with_2(dotpeen: Command, arguments: list[str]) -> None:
    assert dotpeen("api", *arguments).code == 2
    assert dotpeen("api", "status", "--json").json["external"]["enabled"] is True


def test_the_journal_names_who_ran_the_command(dotpeen: Command, site: Site) -> None:
    dotpeen("partner", "add", "acme", "--scope", "*:read")
    dotpeen("api", "disable", "external", "--reason", "Inventory")
    dotpeen("api", "enable", "external")
    journal = dotpeen("migrate", "journal").stdout
    for action in ("partner add acme", "api disable external: Inventory", "api enable external"):
        assert action in journal
    assert all("@" in actor for (actor,) in site.rows("SELECT actor FROM dotpeen.journal"))


def test_the_audit_trail_is_listed_newest_first(dotpeen: Command, site: Site) -> None:
    site.add("Acme")
    write(
        site,
        entry("r1", partner="Acme"),
        entry("r2", partner="Acme", at=NOON + timedelta(hours=1), method="PATCH", changed=("status",)),
        entry("r0", partner="Acme", at=NOON - timedelta(hours=1), uuid=None, status=429, requests=37),
        entry(
            "\x1b[31mr3", partner=None, at=NOON + timedelta(hours=2), uuid=None, entity="WorkOrder", records=3
        ),
    )
    listed = dotpeen("audit")
    one = f"/api/v1/external/parts/{{uuid}} {UUID_1}"
    assert [line.replace("  10.0.0.7", "") for line in listed.stdout.splitlines()] == [
        "2026-01-31 14:00:00.000000  -  200  GET /api/v1/external/parts/{uuid}  3 records  1.2 ms  \ufffd[31mr3",
        f"2026-01-31 13:00:00.000000  Acme  200  PATCH {one} set status  1 record  1.2 ms  r2",
        f"2026-01-31 12:00:00.000000  Acme  200  GET {one}  1 record  1.2 ms  r1",
        "2026-01-31 11:00:00.000000  Acme  429  GET /api/v1/external/parts/{uuid}  37 requests like this  1.2 ms  r0",
    ]

    def ids(*arguments: str) -> list[str]:
        return [
            record["request_id"][-2:] for record in dotpeen("audit", *arguments, "--json").json["entries"]
        ]

    assert ids() == ["r3", "r2", "r1", "r0"]
    assert ids("--partner", "ACME") == ["r2", "r1", "r0"]
    assert ids("--entity", "WorkOrder") == ["r3"]
    assert ids("--uuid", f"urn:uuid:{UUID_1.upper()}") == ["r2", "r1"]
    assert ids("--since", "2026-01-31T14:00+01:00", "--until", "2026-01-31T14:00:00Z") == ["r2"]
    assert ids("--limit", "1") == ["r3"]
    assert ids("--limit", "0") == ["r3", "r2", "r1", "r0"]
    assert ids("--since", "1h") == []
    assert (
        dotpeen("audit", "--limit", "2").stderr
        == "There are older ones: this is the newest 2. --limit 0 shows all.\n"
    )
    assert dotpeen("audit", "--limit", "4").stderr == ""
    (newest,) = dotpeen("audit", "--limit", "1", "--json").json["entries"]
    assert (newest["at"], newest["records"], newest["changed"]) == ("2026-01-31T14:00:00Z", 3, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--partner", "nobody"], "no partner 'nobody'"),
        (["--uuid", "x"], "is no UUID"),
        (["--since", "yesterday"], "--since 'yesterday' is no time"),
        (["--until", "20260131"], "--until '20260131' is no time"),
        (["--entity", "part"], "did you mean Part?"),
        (["prune", "--before", "never"], "--before 'never' is no time"),
    ],
)
def test_a_question_that_can_not_be_meant_ends_with_2(
    dotpeen: Command, arguments: list[str], said: str
) -> None:
    failed = dotpeen("audit", *arguments)
    assert (failed.code, failed.stdout) == (2, "")
    assert said in failed.stderr


def test_a_trail_of_an_older_release_is_said_to_be_one(database: str, repository: Path) -> None:
    upgrade_to(database, "0003")
    dotpeen = runner(repository / "registry.toml", database)
    for arguments in ((), ("--uuid", UUID_1), ("--json",)):
        old = dotpeen("audit", *arguments)
        assert (old.code, "of an older release" in old.stderr) == (2, True)
        assert "dotpeen serve" in old.stderr
    site = Site(database)
    site.rows(
        "INSERT INTO dotpeen.audit (id, at, method, route, records, status, milliseconds)"
        " VALUES (%s, %s, 'GET', '/', 0, 404, 1) RETURNING id",
        [audit_id(0), NOON],
    )
    site.close()
    assert dotpeen("audit", "prune", "--before", "1d", "--yes", "--json").json["deleted"] == 1
    assert dotpeen("audit", "--json").json == {"entries": []}


def test_pruning_asks_first(dotpeen: Command, site: Site) -> None:
    write(site, entry("old", at=NOON - timedelta(days=400)), entry("new", at=datetime.now(UTC)))
    refused = dotpeen("audit", "prune", "--before", "365d")
    assert (refused.code, refused.stdout) == (2, "")
    assert "Delete 1 entries from before" in refused.stderr
    assert len(dotpeen("audit", "--json").json["entries"]) == 2
    pruned = dotpeen("audit", "prune", "--before", "365d", "--yes", "--json")
    assert (pruned.code, pruned.json["deleted"]) == (0, 1)
    assert [kept["request_id"] for kept in dotpeen("audit", "--json").json["entries"]] == ["new"]
    assert dotpeen("audit", "prune", "--before", "365d").stderr == "There is nothing that old.\n"


@pytest.mark.parametrize(
    "command",
    [
        *(["partner", name] for name in ("add", "list", "show", "change", "rotate", "revoke")),
        ["audit"],
        ["audit", "prune"],
        *(["api", name] for name in ("disable", "enable", "status")),
    ],
)
def test_every_help_has_an_example_and_json(dotpeen: Command, command: list[str]) -> None:
    shown = dotpeen(*command, "--help").stdout
    assert f"  dotpeen {' '.join(command)}" in shown
    assert "--json" in shown
