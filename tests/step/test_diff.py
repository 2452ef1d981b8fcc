"""What became of UUIDs between two files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dotpeen.cli.app import app
from dotpeen.errors import DotpeenError
from dotpeen_step.comparing.changes import Comparison
from dotpeen_step.comparing.compare import compare
from dotpeen_step.comparing.content import content
from step.files import AP242_E4, part21

A, B, C, D = (f"0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c0{digit}" for digit in "1234")

SHAPE_PATH = "PRODUCT_DEFINITION SHAPE_REPRESENTATION VERTEX_POINT CARTESIAN_POINT"

PART = """#1=APPLICATION_CONTEXT('');
#2=PRODUCT_CONTEXT('',#1,'mechanical');
#3=PRODUCT('PN-1','Bracket','',(#2));
#4=PRODUCT_DEFINITION_FORMATION('A','',#3);
#5=PRODUCT_DEFINITION('design','',#4,$);
#6=PRODUCT_DEFINITION_SHAPE('','',#5);
#7=(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNIT_ASSIGNED_CONTEXT((#8))REPRESENTATION_CONTEXT('file A','3D'));
#8=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));
#10=CARTESIAN_POINT('',(1.,2.,3.));
#11=VERTEX_POINT('V1',#10);
#12=CARTESIAN_POINT('',(4.,5.,6.));
#13=VERTEX_POINT('V2',#12);
#14=PLANE('P',#15);
#15=AXIS2_PLACEMENT_3D('',#10,$,$);
#16=FACE_BOUND('1',$,.T.);
#17=FACE_BOUND('2',$,.T.);
#18=ADVANCED_FACE('F1',(#16,#17),#14,.T.);
#20=SHAPE_REPRESENTATION('shape of file A',(#18,#13),#7);
#21=SHAPE_DEFINITION_REPRESENTATION(#6,#20);
#30=SHAPE_ASPECT('hole','',#6,.T.);
#31=DIMENSIONAL_SIZE(#30,'diameter');
#32=DIMENSIONAL_CHARACTERISTIC_REPRESENTATION(#31,#33);
#33=SHAPE_DIMENSION_REPRESENTATION('',(#34),#7);
#34=MEASURE_REPRESENTATION_ITEM('nominal value',POSITIVE_LENGTH_MEASURE(19.),#8);
#35=PLUS_MINUS_TOLERANCE(#36,#31);
#36=TOLERANCE_VALUE(#37,#38);
#37=MEASURE_WITH_UNIT(LENGTH_MEASURE(-0.05),#8);
#38=MEASURE_WITH_UNIT(LENGTH_MEASURE(0.05),#8);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def differ(folder: Path, old: str, new: str) -> Comparison:
    for name, text in (("old", old), ("new", new)):
        (folder / f"{name}.stp").write_bytes(part21(text, schema=AP242_E4))
    return compare(folder / "old.stp", folder / "new.stp")


def identifying(*pairs: tuple[str, int]) -> str:
    lines = (
        f"#{100 + place}=V4_UUID_ATTRIBUTE('{uuid}',((#{ref})));" for place, (uuid, ref) in enumerate(pairs)
    )
    return PART + "\n".join(lines) + "\n"


def outcomes(comparison: Comparison) -> dict[str, str]:
    return {change.uuid: change.outcome.value for change in comparison.changes}


def told(comparison: Comparison) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (" ".join(one.path), one.attribute, one.old, one.new)
        for change in comparison.changes
        for one in change.differences
    ]


def test_each_uuid_has_one_outcome(folder: Path) -> None:
    old = identifying((A, 11), (B, 13), (C, 18))
    new = identifying((A, 11), (B, 13), (D, 31)).replace("(4.,5.,6.)", "(4.,5.,7.)")
    comparison = differ(folder, old, new)
    assert outcomes(comparison) == {A: "kept", B: "changed", C: "removed", D: "added"}
    assert told(comparison) == [("VERTEX_POINT CARTESIAN_POINT", "2", "(4.,5.,6.)", "(4.,5.,7.)")]


def test_upper_case_blanks_and_prefixes_make_no_other_uuid(folder: Path) -> None:
    old, new = identifying((A, 11)), identifying((f" urn:uuid:{A.upper()} ", 11))
    assert outcomes(differ(folder, old, new)) == {A: "kept"}


def test_a_uuid_on_another_kind_of_item_is_a_conflict(folder: Path) -> None:
    comparison = differ(folder, identifying((A, 11), (B, 18)), identifying((A, 18), (B, 31)))
    assert outcomes(comparison) == {A: "moved", B: "moved"}
    assert [(one.old.keyword, one.new.keyword) for one in comparison.changes] == [
        ("VERTEX_POINT", "ADVANCED_FACE"),
        ("ADVANCED_FACE", "DIMENSIONAL_SIZE"),
    ]


def test_another_surface_is_a_change(folder: Path) -> None:
    old = identifying((A, 14))
    comparison = differ(folder, old, old.replace("PLANE('P',#15)", "CYLINDRICAL_SURFACE('P',#15,2.)"))
    assert outcomes(comparison) == {A: "changed"}
    assert told(comparison) == [("", "entity", "PLANE", "CYLINDRICAL_SURFACE")]


def test_the_order_of_a_faces_bounds_says_nothing(folder: Path) -> None:
    old = identifying((A, 18))
    assert outcomes(differ(folder, old, old.replace("(#16,#17)", "(#17,#16)"))) == {A: "kept"}


def test_a_bound_that_is_missing_is_told(folder: Path) -> None:
    old = identifying((A, 18))
    comparison = differ(folder, old, old.replace("(#16,#17)", "(#17)"))
    assert outcomes(comparison) == {A: "changed"}
    assert ("ADVANCED_FACE", "", "FACE_BOUND", None) in told(comparison)


def test_what_files_call_themselves_belongs_to_no_item(folder: Path) -> None:
    old = identifying((A, 18), (B, 31), (C, 30))
    new = (
        old.replace("'file A'", "'file B'")
        .replace("shape of file A", "of B")
        .replace("'Bracket'", "'Bracket B'")
    )
    assert outcomes(differ(folder, old, new)) == {A: "kept", B: "kept", C: "kept"}


class TestTolerances:
    """A dimension doesn't refer to its value and its tolerance: they refer to it."""

    @pytest.mark.parametrize(
        ("before", "after", "path"),
        [
            ("MEASURE(19.)", "MEASURE(20.)", "DIMENSIONAL_CHARACTERISTIC_REPRESENTATION"),
            ("MEASURE(0.05)", "MEASURE(0.07)", "PLUS_MINUS_TOLERANCE"),
        ],
    )
    def test_another_value(self, folder: Path, before: str, after: str, path: str) -> None:
        old = identifying((A, 31))
        comparison = differ(folder, old, old.replace(before, after))
        assert outcomes(comparison) == {A: "changed"}
        [(where, _, one, other)] = told(comparison)
        assert where.startswith(f"DIMENSIONAL_SIZE {path} ")
        assert (before in one, after in other) == (True, True)

    def test_a_tolerance_that_was_not_there(self, folder: Path) -> None:
        new = identifying((A, 31))
        old = new.replace("#35=PLUS_MINUS_TOLERANCE(#36,#31);\n", "")
        assert told(differ(folder, old, new)) == [("DIMENSIONAL_SIZE", "", None, "PLUS_MINUS_TOLERANCE")]

    def test_other_units(self, folder: Path) -> None:
        old = identifying((A, 31))
        assert outcomes(differ(folder, old, old.replace(".MILLI.", ".CENTI."))) == {A: "changed"}


class TestProducts:
    def test_the_uuid_of_a_revision_is_no_change_of_its_own(self, folder: Path) -> None:
        comparison = differ(folder, identifying((A, 6), (B, 11)), identifying((C, 6), (B, 11)))
        assert outcomes(comparison) == {B: "kept"}
        [product] = comparison.products
        assert (product.old.uuids, product.new.uuids, product.overlap) == ((A,), (C,), 1.0)

    def test_a_product_is_kept_with_all_that_it_says_and_its_shape(self, folder: Path) -> None:
        assert outcomes(differ(folder, identifying((A, 5)), identifying((A, 5)))) == {A: "kept"}

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ("'PN-1'", "'PN-2'", ("PRODUCT", "id", "PN-1", "PN-2")),
            ("FORMATION('A'", "FORMATION('B'", ("PRODUCT", "revision", "A", "B")),
            (
                "(4.,5.,6.)",
                "(4.,5.,7.)",
                (SHAPE_PATH, "2", "(4.,5.,6.)", "(4.,5.,7.)"),
            ),
        ],
    )
    def test_a_product_whose_number_revision_or_shape_is_another_changed(
        self, folder: Path, before: str, after: str, expected: tuple[str, ...]
    ) -> None:
        old = identifying((A, 5))
        comparison = differ(folder, old, old.replace(before, after))
        assert outcomes(comparison) == {A: "changed"}
        assert told(comparison) == [expected]

    def test_one_product_identified_through_its_shape_and_then_its_definition_is_the_same(
        self, folder: Path
    ) -> None:
        assert outcomes(differ(folder, identifying((A, 6)), identifying((A, 5)))) == {A: "kept"}

    def test_the_overlap_is_the_share_of_the_old_uuids(self, folder: Path) -> None:
        old = identifying((A, 11), (B, 13), (C, 18), (D, 31))
        comparison = differ(folder, old, identifying((A, 11)))
        assert [product.overlap for product in comparison.products] == [0.25]

    def test_a_product_with_no_uuid_in_common_is_found_by_its_id(self, folder: Path) -> None:
        [product] = differ(folder, PART, PART).products
        assert (product.old.id, product.new.id, product.overlap) == ("PN-1", "PN-1", None)


class TestOddFiles:
    def test_a_uuid_on_several_items(self, folder: Path) -> None:
        old, new = identifying((A, 11), (A, 13)), identifying((A, 11))
        assert outcomes(differ(folder, old, old)) == {A: "kept"}
        comparison = differ(folder, old, new)
        assert outcomes(comparison) == {A: "changed"}
        assert told(comparison) == [("VERTEX_POINT", "identifies", "2 items", "1 item")]

    def test_a_uuid_on_an_item_that_is_not_there(self, folder: Path) -> None:
        dangling = identifying((A, 999))
        assert outcomes(differ(folder, dangling, dangling)) == {A: "kept"}
        assert outcomes(differ(folder, dangling, identifying((A, 11)))) == {A: "changed"}

    def test_items_that_refer_to_each_other_in_a_circle(self, folder: Path) -> None:
        circle = identifying((A, 40)) + "#40=A('1',#41);#41=A('2',#42);#42=A('3',#40);"
        again = identifying((A, 50)) + "#52=A('3',#50);#51=A('2',#52);#50=A('1',#51);"
        assert outcomes(differ(folder, circle, again)) == {A: "kept"}
        assert outcomes(differ(folder, circle, again.replace("'3'", "'4'"))) == {A: "changed"}

    def test_a_chain_of_five_thousand_references(self, folder: Path) -> None:
        def chain(end: str) -> str:
            links = (f"#{number}=A(#{number + 1});" for number in range(1000, 6_000))
            return identifying((A, 1000)) + "\n".join(links) + f"\n#6000=A('{end}');"

        assert outcomes(differ(folder, chain("x"), chain("x"))) == {A: "kept"}
        # What differs is too far away to be told.
        comparison = differ(folder, chain("x"), chain("y"))
        assert (outcomes(comparison), told(comparison)) == ({A: "changed"}, [])

    def test_a_graph_with_more_ways_through_it_than_could_be_walked(self, folder: Path) -> None:
        def layers(end: str) -> str:
            links = (f"#{number}=A(#{number + 1},#{number + 1});" for number in range(1000, 1060))
            return identifying((A, 1000)) + "\n".join(links) + f"\n#1060=A('{end}');"

        assert outcomes(differ(folder, layers("x"), layers("x"))) == {A: "kept"}
        comparison = differ(folder, layers("x"), layers("y"))
        assert outcomes(comparison) == {A: "changed"}
        assert [one[1:] for one in told(comparison)] == [("1", "'x'", "'y'")]

    def test_instance_names_with_large_gaps(self, folder: Path) -> None:
        far = PART.replace("#10", "#90000000000000000").replace("#11", "#4294967296")
        far += f"#100=V4_UUID_ATTRIBUTE('{A}',((#4294967296)));"
        assert outcomes(differ(folder, identifying((A, 11)), far)) == {A: "kept"}

    def test_items_of_other_files_differ_by_where_they_are(self, folder: Path) -> None:
        def refers_to(uri: str) -> Path:
            file = folder / f"{len(list(folder.iterdir()))}.stp"
            sections = f"REFERENCE;\n#10=<{uri}>;\nENDSEC;\n"
            text = f"#11=VERTEX_POINT('V1',#10);#100=V4_UUID_ATTRIBUTE('{A}',((#11)));"
            file.write_bytes(part21(text, schema=AP242_E4, level="4;1", sections=sections))
            return file

        here, there = refers_to("a.stp#p1"), refers_to("b.stp#p1")
        assert outcomes(compare(here, here)) == {A: "kept"}
        comparison = compare(here, there)
        assert outcomes(comparison) == {A: "changed"}
        assert told(comparison) == [("VERTEX_POINT", "", "<a.stp#p1>", "<b.stp#p1>")]


class TestContent:
    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_a_number_is_the_same_in_every_spelling(self, number: float) -> None:
        spellings = {content(b"#1=A(%s);" % text)[0] for text in _spellings(number)}
        assert len(spellings) == 1

    @given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
    def test_other_numbers_are_not(self, one: float, other: float) -> None:
        same = content(b"#1=A(%r);" % one)[0] == content(b"#1=A(%r);" % other)[0]
        assert same == (one == other)

    @given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs", "Cc"))))
    def test_a_text_is_the_same_in_every_encoding(self, text: str) -> None:
        plain = "".join(
            one if 32 <= ord(one) < 127 else f"\\X2\\{ord(one):04X}\\X0\\" for one in _doubled(text)
        )
        all_hex = "".join(f"\\X2\\{ord(one):04X}\\X0\\" for one in text)
        assert content(f"#1=A('{plain}');".encode())[0] == content(f"#2 = A( '{all_hex}' ) ;".encode())[0]

    def test_structure_and_references_count(self) -> None:
        texts = [
            b"#1=A((#2),#3);",
            b"#1=A(#2,#3);",
            b"#1=A((#2,#3));",
            b"#1=A($,*);",
            b"#1=A('$','*');",
            b"#1=(A());",
        ]
        assert len({content(text)[0] for text in texts}) == len(texts)
        assert content(b"#7=A((#2,'#4'),/* #5 */#3,B(#2));")[1] == [2, 3, 2]


def _spellings(number: float) -> list[bytes]:
    return [text.encode() for text in (repr(number), f"{number:.17E}", f"{number:+.25E}", f"{number:.20e}")]


def _doubled(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


class TestCommand:
    @pytest.fixture
    def registry(self, folder: Path) -> Path:
        file = folder / "registry.toml"
        file.write_text("[plugins.step]\n[entities.Part]\nbusiness_id = 'partNumber'\n")
        return file

    @pytest.fixture
    def files(self, folder: Path) -> tuple[Path, Path]:
        old, new = folder / "a.stp", folder / "b.stp"
        old.write_bytes(part21(identifying((A, 11), (B, 13), (D, 6)), schema=AP242_E4))
        new.write_bytes(part21(identifying((A, 11), (B, 18), (C, 6)), schema=AP242_E4))
        return old, new

    def run(self, registry: Path, *arguments: object) -> Result:
        command = ["-r", str(registry), "step", "diff", *map(str, arguments)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "160", "TERM": "dumb"})

    def test_it_tells_people_what_became_of_the_uuids(self, registry: Path, files: tuple[Path, Path]) -> None:
        done = self.run(registry, *files)
        assert done.exit_code == 0, done.output
        assert f"{B} VERTEX_POINT V2 (#13) → ADVANCED_FACE F1 (#18)" in done.stdout
        assert "PN-1 revision A: 1 kept, 1 moved" in done.stdout
        assert "2 of 2 UUIDs persist (100%)" in done.stdout

    def test_files_of_long_names_are_told_apart(self, registry: Path, files: tuple[Path, Path]) -> None:
        names = [f"the plate with the hole in it for the northern works revision {one}.stp" for one in "ab"]
        named = [file.rename(file.with_name(name)) for file, name in zip(files, names, strict=True)]
        command = ["-r", str(registry), "step", "diff", *map(str, named)]
        lines = CliRunner().invoke(app, command, env={"COLUMNS": "80", "TERM": "dumb"}).stdout.splitlines()
        for line, side, name in zip(lines, ("old", "new"), names, strict=False):
            assert line.startswith(f"{side}  {name}  ")
            assert "SHA-256" in line

    def test_it_prints_one_json_document(self, registry: Path, files: tuple[Path, Path]) -> None:
        document = json.loads(self.run(registry, *files, "--json").stdout)
        assert document["counts"] == {"kept": 1, "changed": 0, "moved": 1, "added": 0, "removed": 0}
        assert [one["outcome"] for one in document["uuids"]] == ["kept", "moved"]
        [product] = document["products"]
        assert (product["old"]["uuids"], product["new"]["uuids"]) == ([D], [C])
        assert (product["overlap"], product["revision"]) == (1.0, True)

    def test_a_file_that_is_none_is_an_error_with_its_place(
        self, registry: Path, folder: Path, files: tuple[Path, Path]
    ) -> None:
        broken = folder / "broken.stp"
        broken.write_bytes(files[0].read_bytes()[:-60])
        for file in (broken, folder / "missing.stp"):
            done = self.run(registry, files[0], file)
            assert isinstance(done.exception, DotpeenError)
            assert done.exception.exit_code == 2
            assert str(file) in done.exception.message
            assert done.stdout == ""
