"""What is found in real files: the right products, and the UUIDs that those who made the files list."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from dotpeen_step.inspection import Carrier, Inspection, UuidOccurrence, inspect
from dotpeen_step.part21 import Part21File, Reference

LISTED = (
    "NX_Plate_w_Hole_UUIDS_Rev_0.0",
    "NX_Plate_w_Hole_UUIDS_Rev_0.1",
    "V56R2022_plate_w_hole_UUIDS_Rev_0.1",
    "V56R2022_plate_w_hole_UUIDS_rev_0.0",
)
KINDS = {"PRODUCT": "product", "PMI": "pmi", "TOPOLOGY": "topology", "GEOMETRY": "geometry"}
ROW = re.compile(
    r"UUID=(?P<uuid>[0-9a-f-]{36})\s*STEP (?P<kind>\w+) NAME = (?P<name>.*) \(#(?P<ref>\d+|\?+)\)(?P<odd>\s+\*+)?"
)


@dataclass(frozen=True)
class Row:
    """One line of a list of expected UUIDs."""

    uuid: str
    kind: str
    name: str
    ref: int | None
    """None where those who made the list could not tell: `#???`, marked with `***`."""


def rows_of(samples: Path, name: str) -> tuple[list[Row], dict[str, int]]:
    """Return the rows of a list and, below them, how many UUIDs it says there are of each kind."""
    rows, counts = [], {}
    for line in (samples / f"{name}_chk.txt").read_text().splitlines():
        if found := ROW.fullmatch(line):
            ref = int(found["ref"]) if found["ref"].isdigit() else None
            assert (ref is None) == bool(found["odd"]), line
            rows.append(Row(found["uuid"], KINDS[found["kind"]], found["name"], ref))
        else:
            kind, *numbers = line.split("\t")
            counts[kind] = int(numbers[-1])
    return rows, counts


@pytest.mark.parametrize("name", LISTED)
class TestListedFiles:
    def test_has_exactly_the_uuids_of_the_list(self, samples: Path, name: str) -> None:
        rows, counts = rows_of(samples, name)
        found = inspect(samples / f"{name}.stp")
        assert sorted(one.uuid for one in found.uuids) == sorted(row.uuid for row in rows)
        kinds = Counter(one.kind[:3] for one in found.uuids)
        assert {kind: kinds[kind] for kind in ("pro", "pmi", "top", "geo")} | {"uda": 0} == counts

    def test_each_identifies_what_the_list_says(self, samples: Path, name: str) -> None:
        rows, _ = rows_of(samples, name)
        with Part21File.open(samples / f"{name}.stp") as file:
            found = {one.uuid: one for one in inspect(file).uuids}
            for row in rows:
                one = found[row.uuid]
                assert one.kind == row.kind, row
                assert one.carrier is Carrier.V5_UUID_ATTRIBUTE
                # The attribute identifies a product's shape; the list has the product it leads to.
                assert row.ref in (None, one.product_ref if row.kind == "product" else one.target_ref), row
                if row.ref is not None:
                    assert row.name.casefold() in names_of(file, one), row

    def test_everything_belongs_to_the_one_part(self, samples: Path, name: str) -> None:
        found = inspect(samples / f"{name}.stp")
        [part] = found.parts
        assert {one.product_ref for one in found.uuids} == {part.product_ref}
        assert [one.target_keyword for one in found.identifying(part)] == ["PRODUCT_DEFINITION_SHAPE"]
        assert found.findings == ()

    def test_is_of_the_prototype_of_edition_4(self, samples: Path, name: str) -> None:
        schema = inspect(samples / f"{name}.stp").schema
        assert schema is not None
        assert (schema.protocol, schema.edition, schema.prototype) == ("AP242", 4, True)
        assert schema.said == "AP242 edition 4 (prototype)"


def names_of(file: Part21File, one: UuidOccurrence) -> set[str]:
    """Return what an item may be called: its name, and for a dimension those of its kind and its feature."""
    assert one.target_ref is not None
    item = file.fetch([one.target_ref])[one.target_ref]
    names = {one.target_name}
    if item.keyword == "DIMENSIONAL_SIZE":
        feature = item.parameters[0]
        assert isinstance(feature, Reference)
        aspect = file.fetch([feature.id])[feature.id]
        names |= {str(item.parameters[1]), str(aspect.parameters[0])}
    return {name.casefold() for name in names}


def test_the_row_without_an_instance_is_supplemental_geometry(samples: Path) -> None:
    """The lists of the CATIA files have one row `TRIMMED_CURVE WF (#???) ***`.

    In the file, that UUID's attribute identifies a shape aspect `derived geometry`, and a
    GEOMETRIC_ITEM_SPECIFIC_USAGE says which curve it stands for.
    """
    found = inspect(samples / "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp")
    [one] = [one for one in found.uuids if one.uuid == "9ec846e7-46c9-5b96-ac1e-391b0690919e"]
    assert (one.carrier_ref, one.target_ref, one.target_keyword) == (874, 873, "SHAPE_ASPECT")
    assert (one.target_name, one.kind) == ("derived geometry", "geometry")


def products(found: Inspection) -> list[tuple[str, str, str]]:
    return [(part.id, part.name, part.revision.strip()) for part in found.parts]


def test_the_revision_changes_the_uuid_of_the_shape_and_keeps_the_others(samples: Path) -> None:
    old, new = (inspect(samples / f"{name}.stp") for name in LISTED[:2])
    gone = {one.uuid for one in old.uuids} - {one.uuid for one in new.uuids}
    assert gone == {one.uuid for one in old.uuids if one.kind == "product"}


def test_standards_that_a_model_follows_are_documents_and_no_parts(samples: Path) -> None:
    found = inspect(samples / "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp")
    assert products(found) == [("V5_plate_w_hole_UUID_rev_0.1", "V5_plate_w_hole_UUID_rev_0.1", "")]
    documents = [product.id for product in found.products if product.is_document]
    assert len(documents) == 15
    assert documents[:2] == ["ISO 129-1", "ISO 286-1"]


def test_the_nist_test_case(samples: Path) -> None:
    found = inspect(samples / "nist_ctc_01_asme1_ct5210_rd-V5R29.stp")
    assert products(found) == [("NIST Test Case 1 CATIA V5R29 RC", "NIST Complex Test Case 1 V5R29", "C")]
    assert found.schema is not None
    assert found.schema.said == "AP242 edition 1"
    assert found.originating_system == "CATIA V5 STEP AP242 v2"
    assert len(found.uuids) == 0


def test_an_assembly_of_ap214(samples: Path) -> None:
    found = inspect(samples / "as1-oc-214.stp")
    assert [part.id for part in found.parts] == [
        "as1", "rod-assembly", "nut", "rod", "l-bracket-assembly", "nut-bolt-assembly", "bolt", "l-bracket", "plate",
    ]  # fmt: skip
    named = {part.definition_ref: part.id for part in found.parts}
    used = Counter((named[usage.parent], named[usage.child]) for usage in found.usages)
    assert used == {
        ("as1", "rod-assembly"): 1,
        ("as1", "plate"): 1,
        ("as1", "l-bracket-assembly"): 2,
        ("rod-assembly", "nut"): 2,
        ("rod-assembly", "rod"): 1,
        ("l-bracket-assembly", "l-bracket"): 1,
        ("l-bracket-assembly", "nut-bolt-assembly"): 3,
        ("nut-bolt-assembly", "bolt"): 1,
        ("nut-bolt-assembly", "nut"): 1,
    }
    assert found.schema is not None
    assert found.schema.said == "AP214"


def test_prototypes_of_uuid_attributes(samples: Path) -> None:
    found = inspect(samples / "box-guid.stp")
    assert products(found) == [("", "Box", "PRODUCT_VERSION_ID")]
    carried = [(one.carrier, one.uuid[:8], one.target_ref) for one in found.uuids]
    assert carried == [
        (Carrier.GUID_NAMESPACE, "6db46031", 200),
        (Carrier.GUID_ATTRIBUTE, "3c9773de", 28),
        (Carrier.GUID_RELATIONSHIP, "305dc4d8", 202),
        (Carrier.GUID_ATTRIBUTE, "2871d0c8", 28),
        (Carrier.GUID_ATTRIBUTE, "9416b6d8", 28),
        (Carrier.GUID_ATTRIBUTE, "9416b6d8", 22),
        (Carrier.GUID_ATTRIBUTE, "9416b6d8", 23),
    ]
    rules = Counter(finding.rule for finding in found.findings)
    assert rules == {"carrier-prototype": 5, "uuid-several": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ap242_assembly.p21", [("ROOT", "Root assembly", ""), ("CHILD", "Child part", "")]),
        ("ap242_ed3_sections.p21", [("P1", "Part", "")]),
        ("ce02_root_anchor_valid.p21", []),
        ("complex_instance.p21", []),
        ("strings.p21", []),
    ],
)
def test_small_files(samples: Path, name: str, expected: list[tuple[str, str, str]]) -> None:
    found = inspect(samples / name)
    assert products(found) == expected
    assert len(found.uuids) == 0
    assert found.errors == 0
