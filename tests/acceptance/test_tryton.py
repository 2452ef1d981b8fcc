"""A real ERP on a real database: Tryton keeps creating products while it is given UUIDs.

Tryton is GPL-3 and a peer for tests only: `uv sync --group tryton`.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from dotpeen.registry import load_registry, parse_registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("trytond", reason="Tryton is not installed: uv sync --group tryton")

MODULES = ("product", "production", "stock_lot")
TABLES = {"party_party", "product_template", "product_product", "stock_lot", "production"}
ADMIN = "of the test"


class Tryton:
    """Tryton's own programs, on one database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        parts = urlsplit(database)
        self.database = parts.path.removeprefix("/")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (host,) = parse_qs(parts.query)["host"]
        self.configuration = folder / "trytond.conf"
        self.configuration.write_text(
            f"[database]\nuri = postgresql://postgres@/?host={host}\n[web]\nlisten = 127.0.0.1:{self.port}\n",
            encoding="utf-8",
        )
        (folder / "password").write_text(ADMIN, encoding="utf-8")

    def admin(self, *arguments: str) -> None:
        """Run `trytond-admin` to its end."""
        subprocess.run(
            [self._program("trytond-admin"), *self._options, *arguments],
            env=os.environ | {"TRYTONPASSFILE": str(self.folder / "password")},
            check=True,
            capture_output=True,
            text=True,
        )

    @contextlib.contextmanager
    def serving(self) -> Iterator[Rpc]:
        """Run `trytond` on a loopback port, and be logged in."""
        log = self.folder / "trytond.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [self._program("trytond"), *self._options], stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + 60
            while not self._listening():
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "trytond does not answer"
                time.sleep(0.2)
            yield Rpc(self.port, self.database)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def _options(self) -> list[str]:
        return ["-c", str(self.configuration), "-d", self.database]

    @staticmethod
    def _program(name: str) -> str:
        return str(Path(sys.executable).with_name(name))


class Rpc:
    """One session of Tryton's JSON-RPC. Its errors come back with HTTP status 200."""

    def __init__(self, port: int, database: str) -> None:
        self._port, self._database = port, database
        self._authorization = ""
        self._context: dict[str, Any] = {}
        user, token, *_ = self._send("common.db.login", ["admin", {"password": ADMIN}, "en"])
        self._user = user
        self._authorization = "Session " + base64.b64encode(f"admin:{user}:{token}".encode()).decode()

    def another(self) -> Rpc:
        """A second session, for another thread."""
        rpc = Rpc(self._port, self._database)
        rpc._context = self._context
        return rpc

    def __call__(self, model: str, method: str, *parameters: Any) -> Any:
        return self._send(f"model.{model}.{method}", [*parameters, self._context])

    def work_for(self, company: int) -> None:
        self._context = {"company": company}

    def found_company(self) -> None:
        """Make what a product needs first: a currency, a party and a company that the user works for."""
        (currency,) = self("currency.currency", "create", [{"name": "Euro", "code": "EUR", "symbol": "€"}])
        (party,) = self("party.party", "create", [{"name": "Plant"}])
        (company,) = self("company.company", "create", [{"party": party, "currency": currency}])
        self("res.user", "write", [self._user], {"companies": [["add", [company]]], "company": company})

    def create_products(self, *codes: str) -> list[int]:
        (unit,) = self("product.uom", "search", [["symbol", "=", "u"]], 0, 1, None)
        product = {"type": "goods", "default_uom": unit, "producible": True}
        made = [
            {"name": f"Bolt {code}", "code": code, "products": [["create", [{"suffix_code": "-A"}]]]}
            | product
            for code in codes
        ]
        return list(self("product.template", "create", made))

    def _send(self, method: str, parameters: list[Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        body = json.dumps({"id": 1, "method": method, "params": parameters})
        with contextlib.closing(connection):
            connection.request("POST", f"/{self._database}/rpc/", body, headers)
            response = connection.getresponse()
            text = response.read()
        assert response.status == 200, text
        answer = json.loads(text)
        assert "error" not in answer, answer["error"]
        return answer["result"]


class Creator(threading.Thread):
    """Creates products, one after another, until it is stopped."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__(daemon=True)
        self._rpc = rpc
        self._stopped = threading.Event()
        self.made: list[int] = []
        self.failures: list[BaseException] = []

    def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            try:
                self.made += self._rpc.create_products(f"live-{number}")
            except BaseException as error:
                self.failures.append(error)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 60
        wanted = len(self.made) + count
        while len(self.made) < wanted and not self.failures and time.monotonic() < deadline:
            time.sleep(0.05)

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)


@pytest.fixture
def tryton(template_database: Any, tmp_path: Path) -> tuple[Tryton, str]:
    """Tryton with a company and 300 products, and its database."""

    def build(url: str) -> None:
        made = Tryton(tmp_path, url)
        made.admin("--all", "--email", "admin@example.com")
        made.admin("-u", *MODULES, "--activate-dependencies")
        with made.serving() as rpc:
            rpc.found_company()
            rpc.work_for(1)
            for start in range(0, 300, 100):
                rpc.create_products(*(f"old-{number}" for number in range(start, start + 100)))

    url = template_database("tryton", build)
    return Tryton(tmp_path, url), url


def uuids(url: str, table: str) -> dict[int, Any]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute(f"SELECT id, persistent_uuid FROM {table}").fetchall())


def served_as_tryton_has_it(rpc: Rpc, run_dotpeen: Any, options: tuple[Any, ...]) -> None:
    """REST over the same registry: products, lots and productions by UUID, with no code."""
    rpc("production", "create", [{"quantity": 2.5}])
    partner = run_dotpeen(*options, "partner", "add", "Acme", "--scope", "*:read", "--json")
    assert partner.returncode == 0, partner.stderr
    headers = {"authorization": f"Bearer {partner.json['token']}"}
    process = run_dotpeen.start(*options, "serve", "--port", "0")
    url = next(line.split()[-1] for line in process.stderr if line.startswith("Dotpeen answers"))
    with httpx.Client(base_url=f"{url}/api/v1/external", headers=headers, timeout=30) as client:
        products = client.get("/products", params={"limit": 500, "sort": "code"}).json()
        assert products["pagination"]["total"] == len(rpc("product.product", "search", [], 0, None, None))
        one = products["data"][0]
        assert client.get(f"/products/{one['persistent_uuid']}").json()["data"] == one
        template = client.get(f"/product-templates/{one['template_uuid']}").json()["data"]
        assert one["code"].startswith(template["code"])
        lot = client.get("/lots/by/number/L-1").json()["data"]
        product = client.get(f"/products/{lot['product_uuid']}").json()["data"]
        assert product["code"] == "after-A"
        (production,) = client.get("/productions", params={"state": "draft"}).json()["data"]
        assert (production["quantity"], production["product_uuid"]) == (2.5, None)
        found = client.get(f"/resolve/{production['persistent_uuid']}").json()["data"]
        assert (found["entity"], found["record"]) == ("Production", production)
    process.terminate()
    assert process.wait(60) == 0


def test_init_proposes_what_a_plant_makes_of_tryton(tryton: tuple[Tryton, str], run_dotpeen: Any) -> None:
    _, url = tryton
    done = run_dotpeen("init", "--database-url", url, "-o", "proposed.toml")
    assert done.returncode == 0, done.stderr
    text = (run_dotpeen.folder / "proposed.toml").read_text(encoding="utf-8")
    proposed = {entity.table.name: entity for entity in parse_registry(text).entities.values()}
    assert proposed.keys() >= TABLES
    assert {table: proposed[table].name for table in TABLES} == {
        "party_party": "Party",
        "product_template": "ProductTemplate",
        "product_product": "Product",
        "stock_lot": "StockLot",
        "production": "Production",
    }
    assert {(proposed[table].primary_key, proposed[table].uuid.column) for table in TABLES} == {
        (("id",), "persistent_uuid")
    }
    assert proposed["party_party"].business_id == ("code",)
    assert not any(table.startswith(("ir_", "res_")) or "-category" in table for table in proposed)
    assert "#   product_template-product_category" in text
    checked = run_dotpeen("-r", "proposed.toml", "--database-url", url, "check", "--json")
    assert (checked.returncode, checked.json["ok"]) == (0, True)


def test_tryton_gets_uuids_while_it_works(
    tryton: tuple[Tryton, str], run_dotpeen: Any, repository: Path
) -> None:
    erp, url = tryton
    registry = repository / "examples" / "tryton" / "registry.toml"
    assert {entity.table.name for entity in load_registry(registry).entities.values()} == TABLES
    options = ("-r", registry, "--database-url", url)

    with erp.serving() as rpc:
        rpc.work_for(1)
        checked = run_dotpeen(*options, "check")
        assert checked.returncode == 0, checked.stdout
        creator = Creator(rpc.another())
        creator.start()
        creator.wait_for(3)
        before = len(creator.made)
        migrated = run_dotpeen(*options, "migrate", "up", timeout=300)
        during = len(creator.made) - before
        creator.wait_for(3)
        verified = run_dotpeen(*options, "migrate", "verify", timeout=300)
        creator.stop()

        assert migrated.returncode == 0, migrated.stderr
        assert verified.returncode == 0, verified.stdout
        assert creator.failures == []
        assert during > 0
        held = {table: uuids(url, table) for table in TABLES}
        assert set(creator.made) <= held["product_template"].keys()
        assert len(held["product_product"]) == 300 + len(creator.made)
        issued = [uuid for table in held.values() for uuid in table.values()]
        assert None not in issued
        assert len(set(issued)) == len(issued)

        (template,) = rpc.create_products("after")
        (product,) = rpc("product.product", "search", [["template", "=", template]], 0, None, None)
        assert rpc("product.product", "read", [product], ["code"]) == [{"id": product, "code": "after-A"}]
        rpc("product.template", "write", [template], {"name": "Renamed"})
        rpc("stock.lot", "create", [{"number": "L-1", "product": product}])
        served_as_tryton_has_it(rpc, run_dotpeen, options)
        after = {table: uuids(url, table) for table in TABLES}
        assert {table: {key: after[table][key] for key in keys} for table, keys in held.items()} == held

    erp.admin("-u", "product")
    assert {table: uuids(url, table) for table in TABLES} == after
    with erp.serving() as rpc:
        rpc.work_for(1)
        rpc.create_products("updated")
    assert len(set(uuids(url, "product_product").values())) == len(after["product_product"]) + 1
    assert None not in uuids(url, "product_product").values()
