"""Links carried over to a newer revision."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from dotpeen.cli.app import app
from dotpeen.demo.run import registry_text
from dotpeen.errors import DotpeenError
from dotpeen_step.comparing.carrying import Carry, carry, proposals
from dotpeen_step.comparing.compare import compare
from step.plant import BY, Plant, build, model

if TYPE_CHECKING:
    from conftest import TemplateDatabase

OLD, NEW, OTHER = (f"0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c0{digit}" for digit in "123")
FACES = tuple(f"5b0d5d1b-7b4d-513a-97c6-ade139c0c3{number:02}" for number in range(10))


@pytest.fixture
def plant(template_database: TemplateDatabase) -> Iterator[Plant]:
    found = Plant(template_database("step", build))
    yield found
    found.close()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return put(tmp_path / "old.stp", model(("CAD-7", OLD), faces=FACES))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return put(tmp_path / "new.stp", model(("CAD-7 B", NEW), faces=FACES[1:], written="2026-02-01T00:00:00"))


def put(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def proposed(plant: Plant, old: Path, new: Path) -> list[Carry]:
    return list(proposals(plant.records, compare(old, new), column=plant.column))


def states(carries: list[Carry]) -> list[tuple[str, str]]:
    return [(str(one.part), one.state) for one in carries]


def test_nothing_is_proposed_for_a_file_that_was_never_linked(plant: Plant, old: Path, new: Path) -> None:
    assert proposed(plant, old, new) == []


def test_a_linked_file_proposes_its_part_for_the_revision(plant: Plant, old: Path, new: Path) -> None:
    plant.link(old, product="CAD-7")
    [one] = proposed(plant, old, new)
    assert (str(one.part), one.state, one.reason) == ("Part PN-1001", "proposed", "90% of the UUIDs persist")
    assert (one.product.old.id, one.product.new.id) == ("CAD-7", "CAD-7 B")


def test_a_revision_that_was_linked_by_its_uuid_alone_is_known(plant: Plant, old: Path, new: Path) -> None:
    plant.link_uuid(OLD)
    assert states(proposed(plant, old, new)) == [("Part PN-1001", "proposed")]


def test_a_file_with_few_uuids_in_common_is_not_proposed(plant: Plant, old: Path, tmp_path: Path) -> None:
    plant.link(old, product="CAD-7")
    other = put(tmp_path / "other.stp", model(("CAD-7", NEW), faces=FACES[:2]))
    [one] = proposed(plant, old, other)
    assert (one.state, one.reason) == ("unclear", "only 20% of the UUIDs persist")


def test_several_parts_of_an_assembly_keep_their_products(plant: Plant, tmp_path: Path) -> None:
    old = put(tmp_path / "old.stp", model(("A", OLD), ("B", OTHER)))
    new = put(tmp_path / "new.stp", model(("B", NEW), ("A", None)))
    plant.link(old, "PN-1001", product="A")
    plant.link(old, "PN-1002", product="B")
    found = {str(one.part): (one.product.new.id, one.state) for one in proposed(plant, old, new)}
    assert found == {"Part PN-1001": ("A", "proposed"), "Part PN-1002": ("B", "proposed")}


def test_carried_links_are_current_and_a_second_time_changes_nothing(
    plant: Plant, old: Path, new: Path
) -> None:
    plant.link(old, product="CAD-7")
    comparison = compare(old, new)
    found = proposals(plant.records, comparison, column=plant.column)
    done = carry(plant.records, new, comparison, found, column=plant.column, by=BY)
    assert [one.state for one in done] == ["carried"]
    assert plant.reference() == NEW
    before = plant.state()
    assert states(proposed(plant, old, new)) == [("Part PN-1001", "linked")]
    assert plant.state() == before


def test_a_file_that_was_written_to_meanwhile_is_not_linked(plant: Plant, old: Path, new: Path) -> None:
    plant.link(old, product="CAD-7")
    comparison = compare(old, new)
    found = proposals(plant.records, comparison, column=plant.column)
    put(new, model(("CAD-8", NEW)))
    before = plant.state()
    with pytest.raises(DotpeenError, match="written to after it was compared"):
        carry(plant.records, new, comparison, found, column=plant.column, by=BY)
    assert plant.state() == before


class TestCommand:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Path:
        return put(tmp_path / "registry.toml", registry_text().encode())

    def run(self, site: Path, url: str | None, *arguments: object) -> Result:
        options: list[Any] = ["-r", site] + (["--database-url", url] if url else [])
        command = [str(one) for one in (*options, "step", "diff", *arguments)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "160", "TERM": "dumb"})

    def test_it_says_how_to_link_the_new_revision(
        self, plant: Plant, site: Path, old: Path, new: Path
    ) -> None:
        plant.link(old, product="CAD-7")
        before = plant.state()
        done = self.run(site, plant.url, old, new)
        assert done.exit_code == 0, done.output
        assert f"step link PN-1001 {new} --product '#10'" in done.stdout
        [link] = json.loads(self.run(site, plant.url, old, new, "--json").stdout)["links"]
        assert (link["number"], link["state"]) == ("PN-1001", "proposed")
        assert plant.state() == before

    def test_carry_asks_and_links(self, plant: Plant, site: Path, old: Path, new: Path) -> None:
        plant.link(old, product="CAD-7")
        unanswered = self.run(site, plant.url, old, new, "--carry")
        assert (unanswered.exit_code, plant.reference()) == (2, OLD)
        done = self.run(site, plant.url, old, new, "--carry", "--yes")
        assert done.exit_code == 0, done.output
        assert "Part PN-1001 is linked to 'CAD-7 B' of new.stp now" in done.stdout
        assert plant.reference() == NEW

    def test_carry_without_a_link_ends_with_1(self, plant: Plant, site: Path, old: Path, new: Path) -> None:
        done = self.run(site, plant.url, old, new, "--carry", "--yes")
        assert done.exit_code == 1
        assert "No link was carried over" in done.stderr

    def test_files_are_compared_where_the_database_does_not_answer(
        self, site: Path, old: Path, new: Path
    ) -> None:
        done = self.run(site, "postgresql://nobody@127.0.0.1:1/none", old, new)
        assert done.exit_code == 0, done.output
        assert "9 of 10 UUIDs persist (90%)" in done.stdout
        assert "Links were not looked up" in done.stderr
