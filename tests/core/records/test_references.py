"""External references from Python: under their own names, whatever their columns are called and wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from dotpeen.api.failures import as_problem
from dotpeen.errors import (
    AmbiguousIdentifierError,
    InvalidQueryError,
    InvalidValueError,
    RecordConflictError,
    RecordNotFoundError,
)
from dotpeen.plugins import load_plugins
from dotpeen.records import statements
from dotpeen.records.fields import Field
from dotpeen.registry import parse_registry

from .conftest import MakeSite
from .site import Site

if TYPE_CHECKING:
    from conftest import TemplateDatabase

CRANE = """
    from dotpeen.hooks import ExternalReference, hookimpl

    @hookimpl
    def dotpeen_external_references(registry):
        return [
            ExternalReference("craneId", "Hook", "crane_no"),
            ExternalReference("drawing", "Hook", "drawing_uuid", "uuid"),
        ]
"""
TABLE = """
CREATE TABLE hook (plant text, no int, number text UNIQUE, PRIMARY KEY (plant, no));
INSERT INTO hook SELECT CASE n % 2 WHEN 0 THEN 'A/"1' ELSE 'b:é' END, n, 'H' || n FROM generate_series(1, 30) AS n
"""
ENTITY = """
[entities.Hook]
table = "hook"
primary_key = ["plant", "no"]
business_id = "number"
"""
DRAWING = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture(params=["column", "sidecar"])
def hooks(
    request: pytest.FixtureRequest, template_database: TemplateDatabase, install: Callable[..., None]
) -> Iterator[Site]:
    """30 hooks with a composite key, and a plugin whose references are called otherwise than their columns."""
    install("crane", CRANE)
    registry = parse_registry(f'[plugins.crane]\n{ENTITY}\nuuid = {{ storage = "{request.param}" }}\n')
    plugins = load_plugins(registry)

    def build(url: str) -> None:
        site = Site(url, registry, plugins=plugins)
        site.execute(TABLE)
        site.migrate()
        site.close()

    site = Site(template_database(f"hooks_{request.param}", build), registry, plugins=plugins)
    yield site
    site.close()


def test_set_and_found_by_their_names(hooks: Site) -> None:
    records = hooks.records
    uuid = records.uuid_of("Hook", "H7")
    written = records.update("Hook", str(uuid), {"craneId": "C 7", "drawing": DRAWING})
    assert (written.values["craneId"], str(written.values["drawing"])) == ("C 7", DRAWING)
    assert records.find("Hook", "C 7").matched_by == "craneId"
    assert records.find_by("Hook", "craneId", "C 7").uuid == uuid
    assert records.find_by("Hook", "drawing", DRAWING.upper()).uuid == uuid
    assert records.find("Hook", DRAWING).matched_by == "drawing"
    assert [one.uuid for one in records.list("Hook", filters={"craneId": ["C 7", "C 8"]}).records] == [uuid]
    (only,) = records.list("Hook", fields=["craneId", "number"], filters={"craneId": "C 7"}).records
    assert dict(only.values) == {"craneId": "C 7", "number": "H7"}


def test_sorted_by_one_page_after_page(hooks: Site) -> None:
    for number in (3, 1, 2, 8):
        hooks.records.update("Hook", f"H{number}", {"craneId": f"C{number}"})
    ordered = [one.values["craneId"] for one in hooks.all("Hook", sort=["craneId"], limit=3)]
    assert ordered == ["C1", "C2", "C3", "C8", *[None] * 26]
    ordered = [one.values["craneId"] for one in hooks.all("Hook", sort=["-craneId"], limit=7)]
    assert ordered == [*[None] * 26, "C8", "C3", "C2", "C1"]


def test_a_key_that_changes_takes_its_references_along(hooks: Site) -> None:
    hooks.records.update("Hook", "H3", {"craneId": "C3"})
    hooks.execute("UPDATE hook SET no = 3000 WHERE no = 3")
    assert hooks.records.find_by("Hook", "craneId", "C3").values["no"] == 3000
    hooks.execute("DELETE FROM hook WHERE no = 3000")
    with pytest.raises(RecordNotFoundError):
        hooks.records.find_by("Hook", "craneId", "C3")
    hooks.records.update("Hook", "H4", {"craneId": "C3"})


def test_a_conflict_names_the_other_record_and_changes_nothing(hooks: Site) -> None:
    first = hooks.records.update("Hook", "H1", {"craneId": "C1"})
    with pytest.raises(
        RecordConflictError, match=f"another record has the same craneId: {first.uuid}"
    ) as caught:
        hooks.records.update("Hook", "H2", {"craneId": "C1", "drawing": DRAWING})
    assert caught.value.fields == ("craneId",)
    assert hooks.records.find("Hook", "H2").values["drawing"] is None
    hooks.records.update("Hook", "H1", {"craneId": None})
    assert hooks.records.update("Hook", "H2", {"craneId": "C1"}).values["craneId"] == "C1"


def test_what_another_identifier_is_too_is_ambiguous(hooks: Site) -> None:
    hooks.records.update("Hook", "H1", {"craneId": "H2"})
    with pytest.raises(AmbiguousIdentifierError) as caught:
        hooks.records.find("Hook", "H2")
    assert {field for field, _ in caught.value.candidates} == {"number", "craneId"}
    hooks.records.update("Hook", "H1", {"craneId": DRAWING, "drawing": DRAWING})
    hooks.records.update("Hook", "H2", {"craneId": "C2"})
    hooks.execute("UPDATE hook SET number = %s WHERE no = 2", [DRAWING])
    with pytest.raises(AmbiguousIdentifierError) as caught:
        hooks.records.find("Hook", DRAWING)
    assert (len(caught.value.candidates), caught.value.records) == (3, 2)
    assert as_problem(caught.value).detail.startswith("2 Hook records answer")


@pytest.mark.parametrize("name", ["craneId", "drawing"])
def test_the_uuid_of_another_record_is_a_conflict(hooks: Site, name: str) -> None:
    own, other = (str(hooks.records.uuid_of("Hook", number)) for number in ("H1", "H2"))
    refused = f"what is to be its {name} is the persistentUuid of another record: {other}"
    for value in (other, other.upper()):
        with pytest.raises(RecordConflictError, match=refused) as caught:
            hooks.records.update("Hook", own, {name: value})
        assert caught.value.fields == (name,)
        with pytest.raises(RecordConflictError, match=refused):
            hooks.records.create("Hook", {"plant": "new", "no": 9, name: value})
    assert hooks.records.find("Hook", other).values["number"] == "H2"
    hooks.records.update("Hook", own, {name: own})
    assert hooks.records.find("Hook", own).values["number"] == "H1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("craneId", ""),
        ("craneId", " C"),
        ("drawing", "none"),
        ("drawing", "0" * 32),
        ("drawing", "00000000-0000-0000-0000-000000000000"),
        ("drawing", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"),
        ("drawing", UUID(int=0)),
    ],
)
def test_what_can_be_none_is_refused(hooks: Site, name: str, value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        hooks.records.update("Hook", "H1", {name: value})
    assert caught.value.field == name


def test_created_with_one(hooks: Site) -> None:
    made = hooks.records.create("Hook", {"plant": "new", "no": 1, "craneId": "N1", "drawing": DRAWING})
    assert (made.values["craneId"], hooks.records.find("Hook", "N1").uuid) == ("N1", made.uuid)


def test_nothing_of_them_is_left_with_the_plugin_off(hooks: Site) -> None:
    hooks.records.update("Hook", "H1", {"craneId": "C1"})
    off = f"[plugins.crane]\nenabled = false\n{ENTITY}"
    storage = hooks.registry.entities["Hook"].uuid.storage
    hooks.close()
    registry = parse_registry(f'{off}\nuuid = {{ storage = "{storage}" }}\n')
    site = Site(hooks.url, registry, plugins=load_plugins(registry))
    site.migrate()
    assert set(site.records.find("Hook", "H1").values) == {"persistentUuid", "plant", "no", "number"}
    with pytest.raises(InvalidQueryError):
        site.records.find_by("Hook", "craneId", "C1")
    with pytest.raises(InvalidValueError):
        site.records.update("Hook", "H1", {"crane_no": "C2"})
    site.close()
    again = Site(hooks.url, hooks.registry, plugins=hooks.plugins)
    assert again.records.find("Hook", "C1").values["number"] == "H1"
    again.close()


@pytest.mark.slow
def test_values_beside_a_table_are_found_by_their_index(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE part (id int PRIMARY KEY); INSERT INTO part SELECT generate_series(1, 20000); ANALYZE part",
        "[plugins.erp]\n[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }\n",
    )
    site.plugins = load_plugins(site.registry)
    site.migrate()
    site.execute(
        "INSERT INTO dotpeen.external_value (entity, name, key, value)"
        " SELECT 'Part', 'erpPartId', n::text, 'E' || n FROM generate_series(1, 20000) AS n"
    )
    site.execute("ANALYZE dotpeen.external_value")
    shape = site.shapes()["Part"]
    identifier = next(one for one in shape.identifiers if one.name == "erpPartId")
    assert isinstance(identifier.parts[0], Field)
    query = statements.by_identifier(shape, "internal", None, (identifier,)).as_string()
    plan = "\n".join(row[0] for row in site.execute(f"EXPLAIN {query}", ["E77"]))
    assert "Seq Scan" not in plan, plan
