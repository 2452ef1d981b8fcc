"""What diff says of real files: two revisions of a plate whose hole was moved, by two CAD systems."""

from pathlib import Path

import pytest

from dotpeen_step.comparing.changes import Change, Comparison, Outcome
from dotpeen_step.comparing.compare import compare
from step.rewriting import rewritten

NX = ("NX_Plate_w_Hole_UUIDS_Rev_0.0.stp", "NX_Plate_w_Hole_UUIDS_Rev_0.1.stp")
CATIA = ("V56R2022_plate_w_hole_UUIDS_rev_0.0.stp", "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp")


@pytest.fixture(scope="module")
def nx(samples: Path) -> Comparison:
    return compare(samples / NX[0], samples / NX[1])


@pytest.fixture(scope="module")
def catia(samples: Path) -> Comparison:
    return compare(samples / CATIA[0], samples / CATIA[1])


def names(comparison: Comparison, outcome: Outcome) -> set[str]:
    return {change.item.name for change in comparison.changes if change.outcome is outcome}


def of_name(comparison: Comparison, name: str) -> Change:
    [found] = [change for change in comparison.changes if change.item.name == name]
    return found


def told(change: Change) -> list[tuple[str, str, str | None, str | None]]:
    return [(one.path[-1], one.attribute, one.old, one.new) for one in change.differences]


class TestNx:
    def test_what_touches_the_hole_changed_and_nothing_else(self, nx: Comparison) -> None:
        cylinder, plate, edges = (
            {"AF7"},
            {"AF5", "AF6", "CS1", "Extrude (2)"},
            {"EC13", "EC14", "VP9", "VP10"},
        )
        assert (
            names(nx, Outcome.CHANGED) - {"Hole_Diameter", "Feature Control Frame (2)"}
            == cylinder | plate | edges
        )
        assert len(nx.changes) == 35
        assert (nx.counts[Outcome.KEPT], nx.counts[Outcome.CHANGED]) == (24, 11)

    def test_the_tolerances_stand_on_other_aspects(self, nx: Comparison) -> None:
        # The newer file has the hole's diameter on a plane: #84 there leads to AF1, in the older one to AF7.
        [(_, attribute, old, new)] = told(of_name(nx, "Hole_Diameter"))
        assert (attribute, old, new) == (
            "applies to",
            "2dfe9b4e-fd8b-5006-b660-a0da88b5e2ad",
            "a425db33-973c-5d2c-a411-c25625950819",
        )
        assert ("SHAPE_ASPECT", "1", "'Hole_Diameter'", "'Datum Feature Symbol A (2)'") in told(
            of_name(nx, "Feature Control Frame (2)")
        )

    def test_where_the_hole_was_and_is(self, nx: Comparison) -> None:
        assert told(of_name(nx, "VP9")) == [("CARTESIAN_POINT", "2", "(6.3,6.4,10.)", "(17.8,8.9,10.)")]
        face = of_name(nx, "AF7")
        assert face.differences[0].path == (
            "ADVANCED_FACE",
            "CYLINDRICAL_SURFACE",
            "AXIS2_PLACEMENT_3D",
            "CARTESIAN_POINT",
        )
        assert told(face)[0][2:] == ("(-3.2,6.4,0.)", "(8.3,8.9,0.)")

    def test_pieces_that_have_uuids_are_named_and_left_to_themselves(self, nx: Comparison) -> None:
        shell = "CLOSED_SHELL 78e48da7-06f3-5eab-aa21-7c443a831b83"
        assert told(of_name(nx, "Extrude (2)")) == [("MANIFOLD_SOLID_BREP", "", shell, shell)]

    def test_the_revisions_have_uuids_of_their_own_and_everything_else_persists(self, nx: Comparison) -> None:
        [product] = nx.products
        assert product.old.uuids == ("d0f498a0-2641-5226-abb5-7f3e16b1fb7e",)
        assert product.new.uuids == ("7004f19d-e6e5-5c34-a5f6-d15bc31cef8b",)
        assert (product.persisting, product.overlap) == (35, 1.0)


class TestCatia:
    def test_what_touches_the_hole_changed_and_nothing_else(self, catia: Comparison) -> None:
        faces = {"PartBody1", "PartBody2", "PartBody3", "PartBody8"}
        changed = {change.item.ref for change in catia.changes if change.outcome is Outcome.CHANGED}
        # Solid, shell; the hole's half cylinders, top and bottom; its vertices; its edges.
        assert changed == {21, 30, 70, 119, 131, 243, 41, 43, 50, 57, 44, 51, 58, 63, 114, 124}
        assert faces < names(catia, Outcome.CHANGED)
        assert catia.counts[Outcome.KEPT] == 27

    def test_a_direction_with_a_minus_before_its_zero_is_the_same(
        self, samples: Path, tmp_path: Path
    ) -> None:
        data = (samples / CATIA[0]).read_bytes()
        (tmp_path / "minus.stp").write_bytes(data.replace(b"(0.,0.,-1.)", b"(-0.,0.,-1.)"))
        assert compare(samples / CATIA[0], tmp_path / "minus.stp").counts == {Outcome.KEPT: 44}


@pytest.mark.parametrize("name", [*NX, *CATIA, "box-guid.stp"])
class TestTheSame:
    def test_a_file_and_itself(self, samples: Path, name: str) -> None:
        counts = compare(samples / name, samples / name).counts
        assert set(counts) == {Outcome.KEPT}

    @pytest.mark.parametrize("seed", range(2))
    def test_a_file_written_anew(self, samples: Path, tmp_path: Path, name: str, seed: int) -> None:
        anew = tmp_path / name
        anew.write_bytes(rewritten((samples / name).read_bytes(), seed=seed))
        same = compare(samples / name, anew)
        assert set(same.counts) == {Outcome.KEPT}
        assert [(one.old.ref, one.new.ref) for one in same.changes if one.old.ref == one.new.ref] == []


def test_files_of_different_parts_have_nothing_in_common(samples: Path) -> None:
    comparison = compare(samples / NX[0], samples / "as1-oc-214.stp")
    assert set(comparison.counts) == {Outcome.REMOVED}
    assert all(not product.overlap for product in comparison.products)
