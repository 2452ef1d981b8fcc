"""Semantic PMI: what dimensions, tolerances and datums of a file say, and which UUIDs they have."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.pmi import Pmi, read_pmi
from dotpeen_step.inspection.pmi.entities import DATUMS, DIMENSIONS, KEYWORDS, TOLERANCES
from dotpeen_step.part21.file import Part21File

from .files import part21

PART = """#1=PRODUCT('PN-1','Plate','',(#90));
#2=PRODUCT_DEFINITION_FORMATION('B','',#1);
#3=PRODUCT_DEFINITION('design','',#2,#91);
#4=PRODUCT_DEFINITION_SHAPE('','',#3);
#5=SHAPE_ASPECT('Bore','',#4,.T.);
#6=SHAPE_ASPECT('Edge','',#4,.T.);
#10=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));
#11=(CONVERSION_BASED_UNIT('INCH',#15)LENGTH_UNIT()NAMED_UNIT(#16));
#12=(CONVERSION_BASED_UNIT('DEGREE',#17)NAMED_UNIT(#18)PLANE_ANGLE_UNIT());
#13=(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.));
#20=LENGTH_MEASURE_WITH_UNIT(LENGTH_MEASURE(0.2),#10);
#21=DATUM('A side','',#4,.F.,'A');
#22=DATUM('','',#4,.F.,'B');
"""
FIRST = 100


def pmi(data: str) -> dict[int, Pmi]:
    """The PMI of a part with these instances, by instance name."""
    with Part21File.from_bytes(part21(PART + data)) as file:
        return {one.ref: one for one in read_pmi(file) if one.ref >= FIRST}


def only(data: str) -> Pmi:
    """What #100 is."""
    return pmi(data)[FIRST]


def represented(*items: str, dimension: str = "DIMENSIONAL_SIZE(#5,'diameter')") -> str:
    """A dimension with a representation of these items."""
    lines = [f"#{200 + n}={item};" for n, item in enumerate(items)]
    refs = ",".join(f"#{200 + n}" for n in range(len(items)))
    return "\n".join(
        [
            f"#100={dimension};",
            "#101=DIMENSIONAL_CHARACTERISTIC_REPRESENTATION(#100,#102);",
            f"#102=SHAPE_DIMENSION_REPRESENTATION('',({refs}),#99);",
            *lines,
        ]
    )


def measure(name: str, value: str, unit: str = "#10") -> str:
    return f"(MEASURE_REPRESENTATION_ITEM()MEASURE_WITH_UNIT({value},{unit})REPRESENTATION_ITEM('{name}'))"


DIRECTED_ANGLE = (
    "(ANGULAR_LOCATION(.SMALL.)DIMENSIONAL_LOCATION()DIRECTED_DIMENSIONAL_LOCATION()"
    "SHAPE_ASPECT_RELATIONSHIP('Angle.2',$,#5,#6))"
)
NOMINAL = measure("nominal value", "LENGTH_MEASURE(19.)")


class TestSamples:
    @pytest.mark.parametrize(
        ("name", "value", "deviation", "size", "tolerance"),
        [
            ("NX_Plate_w_Hole_UUIDS_Rev_0.0", 19.0, 0.05, "Hole_Diameter", "Feature Control Frame (2)"),
            ("NX_Plate_w_Hole_UUIDS_Rev_0.1", 19.0, 0.05, "Hole_Diameter", "Feature Control Frame (2)"),
            ("V56R2022_plate_w_hole_UUIDS_rev_0.0", 19.0, 0.005, "DIAMETER", "FCF Position.1"),
            ("V56R2022_plate_w_hole_UUIDS_Rev_0.1", 19.0, 0.005, "DIAMETER", "FCF Position.1"),
        ],
    )
    def test_a_plate_has_a_hole_with_its_uuids(
        self, samples: Path, name: str, value: float, deviation: float, size: str, tolerance: str
    ) -> None:
        with Part21File.open(samples / f"{name}.stp") as file:
            inspection = inspect(file)
            found = read_pmi(file, inspection.uuids)
        (hole,) = [one for one in found if one.kind == "dimension"]
        (position,) = [one for one in found if one.kind == "tolerance"]
        assert (hole.type, hole.name) == ("diameter", size)
        assert (hole.value, hole.upper, hole.lower, hole.unit) == (value, deviation, -deviation, "mm")
        assert (position.type, position.name, position.value) == ("position", tolerance, 0.01)
        assert position.datums == ("A", "B", "C")
        assert sorted(one.letter for one in found if one.type == "datum feature") == ["A", "B", "C"]
        listed = (samples / f"{name}_chk.txt").read_text()
        expected = {
            (int(ref), uuid, called)
            for uuid, called, ref in re.findall(r"UUID=(\S+)\s+STEP PMI NAME = (.*) \(#(\d+)\)", listed)
        }
        assert {(one.ref, one.uuid, one.name) for one in found if one.uuid} == expected
        (product,) = inspection.parts
        assert {one.product_ref for one in found} == {product.product_ref}

    def test_a_test_case_of_nist_has_these_dimensions_and_tolerances(self, samples: Path) -> None:
        with Part21File.open(samples / "nist_ctc_01_asme1_ct5210_rd-V5R29.stp") as file:
            found = read_pmi(file)
        dimensions = [
            (one.type, one.value, one.lower, one.upper, one.limits, one.unit, one.letter)
            for one in found
            if one.kind == "dimension"
        ]
        assert sorted(dimensions) == [
            ("angle", 60.0, -0.500000214286, 0.500000214286, False, "degree", ""),
            ("diameter", 20.0, -0.1, 0.05, False, "mm", ""),
            ("diameter", 20.0, -0.05, 0.1, False, "mm", ""),
            ("diameter", 25.0, -0.15, 0.15, False, "mm", ""),
            ("diameter", 35.0, -0.2, 0.0, False, "mm", "B"),
            ("diameter", 35.0, 0.0, 0.2, False, "mm", "C"),
            ("diameter", 35.0, 34.8, 35.2, True, "mm", ""),
            ("diameter", 35.0, 34.8, 35.2, True, "mm", ""),
        ]
        tolerances = [(one.name, one.type, one.value, one.datums) for one in found if one.kind == "tolerance"]
        assert sorted(tolerances) == [
            ("Flatness.1", "flatness", 0.2, ()),
            ("Perpendicularity.1", "perpendicularity", 1.5, ("A",)),
            ("Position surfacic profile.2", "surface profile", 0.5, ("A",)),
            ("Position surfacic profile.3", "surface profile", 1.25, ("A", "B", "C")),
            ("Position.1", "position", 0.75, ("A", "B", "C")),
            ("Position.2", "position", 0.75, ("A", "B", "C")),
        ]

    @pytest.mark.parametrize("name", ["as1-oc-214.stp", "box-guid.stp", "strings.p21"])
    def test_a_file_without_pmi_has_none(self, samples: Path, name: str) -> None:
        with Part21File.open(samples / name) as file:
            assert read_pmi(file) == []


class TestDimensions:
    @pytest.mark.parametrize(
        ("instance", "type_", "name"),
        [
            ("DIMENSIONAL_SIZE(#5,'diameter')", "diameter", "Bore"),
            ("DIMENSIONAL_SIZE_WITH_PATH(#6,'curve length',#5)", "curve length", "Edge"),
            ("ANGULAR_SIZE(#6,'cone angle',.SMALL.)", "angle", "Edge"),
            ("DIMENSIONAL_SIZE_WITH_DATUM_FEATURE('Rim','',#4,.T.,#100,'radius')", "radius", "Rim"),
            ("DIMENSIONAL_LOCATION('linear distance','',#5,#6)", "linear distance", ""),
            (
                "DIMENSIONAL_LOCATION('linear distance centre outer','',#5,#6)",
                "linear distance centre outer",
                "",
            ),
            ("DIMENSIONAL_LOCATION('Width 7','',#5,#6)", "linear distance", "Width 7"),
            ("DIRECTED_DIMENSIONAL_LOCATION('Width 7','',#5,#6)", "linear distance", "Width 7"),
            ("DIMENSIONAL_LOCATION_WITH_PATH('Arc','',#5,#6,#5)", "curved distance", "Arc"),
            ("ANGULAR_LOCATION('Angle.1','',#5,#6,.LARGE.)", "angle", "Angle.1"),
            (DIRECTED_ANGLE, "angle", "Angle.2"),
            ("(ANGULAR_SIZE(.SMALL.)DIMENSIONAL_SIZE(#5,''))", "angle", "Bore"),
        ],
    )
    def test_a_size_is_called_as_its_feature_and_a_location_by_its_own_name(
        self, instance: str, type_: str, name: str
    ) -> None:
        found = only(f"#100={instance};")
        assert (found.kind, found.type, found.name, found.product_ref) == ("dimension", type_, name, 1)

    @pytest.mark.parametrize(
        ("item", "value", "unit"),
        [
            (NOMINAL, 19.0, "mm"),
            (measure("nominal value", "POSITIVE_LENGTH_MEASURE(0.75)", "#11"), 0.75, "inch"),
            (measure("nominal value", "PLANE_ANGLE_MEASURE(60.)", "#12"), 60.0, "degree"),
            (measure("nominal value", "PLANE_ANGLE_MEASURE(1.5)", "#13"), 1.5, "rad"),
            ("MEASURE_REPRESENTATION_ITEM('nominal value',LENGTH_MEASURE(19.),#10)", 19.0, "mm"),
            ("MEASURE_REPRESENTATION_ITEM('',LENGTH_MEASURE(19),#10)", 19.0, "mm"),
            (measure("nominal value", "19.", "$"), 19.0, ""),
            (measure("nominal value", "LENGTH_MEASURE(1.E400)"), None, ""),
            ("DESCRIPTIVE_REPRESENTATION_ITEM('nominal value','19')", None, ""),
        ],
    )
    def test_the_value_comes_with_its_unit(self, item: str, value: float | None, unit: str) -> None:
        found = only(represented(item))
        assert (found.value, found.unit) == (value, unit)

    def test_deviations_are_those_of_plus_and_minus(self) -> None:
        found = only(
            represented(NOMINAL) + "\n#110=PLUS_MINUS_TOLERANCE(#111,#100);\n#111=TOLERANCE_VALUE(#112,#20);"
            "\n#112=MEASURE_WITH_UNIT(LENGTH_MEASURE(-0.1),#10);"
        )
        assert (found.value, found.lower, found.upper, found.limits) == (19.0, -0.1, 0.2, False)

    def test_limits_are_said_to_be_limits(self) -> None:
        found = only(
            represented(
                measure("upper limit", "LENGTH_MEASURE(19.2)"), measure("lower limit", "LENGTH_MEASURE(18.9)")
            )
        )
        assert (found.value, found.lower, found.upper, found.limits) == (None, 18.9, 19.2, True)

    def test_limits_and_fits_are_a_class(self) -> None:
        found = only(
            represented(NOMINAL)
            + "\n#110=PLUS_MINUS_TOLERANCE(#111,#100);\n#111=LIMITS_AND_FITS('H','hole','7','ISO 286');"
        )
        assert (found.fit, found.lower, found.upper) == ("H7", None, None)

    def test_words_and_qualifiers_are_modifiers(self) -> None:
        found = only(
            represented(
                "(MEASURE_REPRESENTATION_ITEM()MEASURE_WITH_UNIT(LENGTH_MEASURE(5.),#10)"
                "QUALIFIED_REPRESENTATION_ITEM((#120,#121))REPRESENTATION_ITEM('nominal value'))",
                "DESCRIPTIVE_REPRESENTATION_ITEM('dimensional note','theoretical')",
                "COMPOUND_REPRESENTATION_ITEM('modifiers',SET_REPRESENTATION_ITEM((#122)))",
            )
            + "\n#120=TYPE_QUALIFIER('maximum');\n#121=VALUE_FORMAT_TYPE_QUALIFIER('NR2 2.3');"
            "\n#122=DESCRIPTIVE_REPRESENTATION_ITEM('','controlled radius');"
        )
        assert found.modifiers == ("maximum", "theoretical", "controlled radius")


FREE = (
    "#112=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,#22,(SIMPLE_DATUM_REFERENCE_MODIFIER(.FREE_STATE.),#113));"
)
COMMON = """#112=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,COMMON_DATUM_LIST((#113,#114)),$);
#113=DATUM_REFERENCE_ELEMENT('',$,#4,.F.,#21,$);
#114=DATUM_REFERENCE_ELEMENT('',$,#4,.F.,#22,(.LEAST_MATERIAL_REQUIREMENT.));"""
SYSTEM = """#110=DATUM_SYSTEM('','',#4,.F.,(#111,#112));
#111=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,#21,$);
"""


class TestTolerances:
    @pytest.mark.parametrize("keyword", sorted(TOLERANCES))
    def test_each_is_read_whether_simple_or_complex(self, keyword: str) -> None:
        simple = only(f"#100={keyword}('T','',#20,#5);")
        parts = sorted({"GEOMETRIC_TOLERANCE('T','',#20,#5)", f"{keyword}()"})
        complex_ = only(f"#100=({''.join(one for one in parts if one != 'GEOMETRIC_TOLERANCE()')});")
        assert (simple.kind, simple.name, simple.value, simple.unit) == ("tolerance", "T", 0.2, "mm")
        assert replace(simple, keyword="") == replace(complex_, keyword="")
        general = "GEOMETRIC_TOLERANCE" in keyword
        assert simple.type == (
            "" if general else keyword.removesuffix("_TOLERANCE").replace("_", " ").lower()
        )

    @pytest.mark.parametrize(
        ("second", "shown"),
        [
            ("#112=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,#22,$);", "B"),
            ("#112=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,#22,(.MAXIMUM_MATERIAL_REQUIREMENT.));", "B(M)"),
            (FREE, "B(F)"),
            (COMMON, "A-B(L)"),
            (
                "#112=(DATUM_REFERENCE_COMPARTMENT()GENERAL_DATUM_REFERENCE(#22,$)SHAPE_ASPECT('',$,#4,.F.));",
                "B",
            ),
        ],
    )
    def test_datums_are_named_in_their_order(self, second: str, shown: str) -> None:
        found = only(f"#100=PARALLELISM_TOLERANCE('T','',#20,#5,(#110));\n{SYSTEM}{second}")
        assert found.datums == ("A", shown)
        complex_ = only(
            "#100=(GEOMETRIC_TOLERANCE('T','',#20,#5)GEOMETRIC_TOLERANCE_WITH_DATUM_REFERENCE((#110))"
            f"POSITION_TOLERANCE());\n{SYSTEM}{second}"
        )
        assert complex_.datums == ("A", shown)

    def test_datum_references_of_older_files_are_read(self) -> None:
        found = only(
            "#100=PARALLELISM_TOLERANCE('T','',#20,#5,(#110,#111));\n#110=DATUM_REFERENCE(1,#21);\n"
            "#111=REFERENCED_MODIFIED_DATUM(2,#22,.MAXIMUM_MATERIAL_CONDITION.);"
        )
        assert found.datums == ("A", "B(M)")

    def test_modifiers_are_those_of_the_file(self) -> None:
        found = only(
            "#100=(GEOMETRIC_TOLERANCE('T','',#20,#5)GEOMETRIC_TOLERANCE_WITH_MODIFIERS("
            "(.MAXIMUM_MATERIAL_REQUIREMENT.,.FREE_STATE.))POSITION_TOLERANCE()"
            "UNEQUALLY_DISPOSED_GEOMETRIC_TOLERANCE(#20));"
        )
        assert found.modifiers == ("maximum material requirement", "free state", "unequally disposed")

    def test_one_of_a_dimension_belongs_to_the_dimensions_product(self) -> None:
        assert (
            pmi("#100=STRAIGHTNESS_TOLERANCE('T','',#20,#101);\n#101=DIMENSIONAL_SIZE(#5,'diameter');")[
                100
            ].product_ref
            == 1
        )


class TestDatums:
    def test_features_and_targets_have_the_letter_of_their_datum(self) -> None:
        found = pmi(
            "#100=DATUM_FEATURE('Side','',#4,.T.);\n#101=SHAPE_ASPECT_RELATIONSHIP('','',#100,#21);\n"
            "#102=PLACED_DATUM_TARGET_FEATURE('','point',#4,.T.,'1');\n"
            "#103=FEATURE_FOR_DATUM_TARGET_RELATIONSHIP('','',#21,#102);\n"
            "#104=DATUM('','',#4,.F.,'C');\n#105=DATUM_FEATURE('Alone','',#4,.T.);"
        )
        assert {ref: (one.type, one.letter) for ref, one in found.items()} == {
            100: ("datum feature", "A"),
            102: ("datum target", "A1"),
            104: ("datum", "C"),
            105: ("datum feature", ""),
        }

    def test_a_system_names_its_datums(self) -> None:
        found = pmi(f"{SYSTEM}#112=DATUM_REFERENCE_COMPARTMENT('',$,#4,.F.,#22,$);")[110]
        assert (found.type, found.datums) == ("datum system", ("A", "B"))


class TestIdentity:
    def test_every_uuid_of_an_item_is_there_and_the_first_one_is_its_own(self, tmp_path: Path) -> None:
        uuids = [f"c7875252-8986-4cc5-a2d4-bd8e78ed175{n}" for n in range(3)]
        data = "#100=DIMENSIONAL_SIZE(#5,'diameter');\n" + "".join(
            f"#{110 + n}=V4_UUID_ATTRIBUTE('{uuid.upper()}',((#100)));\n" for n, uuid in enumerate(uuids[:2])
        )
        with Part21File.from_bytes(part21(PART + data)) as file:
            (found,) = [one for one in read_pmi(file, inspect(file).uuids) if one.kind == "dimension"]
        assert (found.uuid, found.uuids) == (uuids[0], tuple(uuids[:2]))

    def test_it_belongs_to_the_product_whose_shape_it_is_on(self) -> None:
        found = pmi(
            "#100=DIMENSIONAL_SIZE(#105,'diameter');\n#101=PRODUCT('PN-2','','',());\n"
            "#102=PRODUCT_DEFINITION_FORMATION('','',#101);\n#103=PRODUCT_DEFINITION('','',#102,#91);\n"
            "#104=PRODUCT_DEFINITION_SHAPE('','',#103);\n#105=SHAPE_ASPECT('','',#104,.T.);\n"
            "#106=DIMENSIONAL_SIZE(#5,'diameter');\n#107=DIMENSIONAL_SIZE($,'diameter');"
        )
        assert {ref: one.product_ref for ref, one in found.items()} == {100: 101, 106: 1, 107: None}


ATOMS = st.one_of(
    st.sampled_from(
        ["$", "*", ".T.", "'x'", "1", "1.5", "-1.E400", "LENGTH_MEASURE(1.)", "COMMON_DATUM_LIST((#5))"]
    ),
    st.sampled_from([f"#{n}" for n in (*range(1, 23), *range(100, 110), 999)]),
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3).map(lambda some: f"({','.join(some)})")
)
PARTS = st.builds(
    lambda keyword, values: f"{keyword}({','.join(values)})",
    st.sampled_from(sorted(KEYWORDS | {"SHAPE_ASPECT", "TOLERANCE_VALUE", "SHAPE_DIMENSION_REPRESENTATION"})),
    st.lists(VALUES, max_size=7),
)
INSTANCES = st.one_of(PARTS, st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: f"({''.join(parts)})"))


@settings(max_examples=50)
@given(st.lists(INSTANCES, max_size=10))
def test_whatever_the_attributes_are_nothing_is_raised_and_no_item_is_lost(instances: list[str]) -> None:
    found = pmi("".join(f"#{FIRST + n}={one};\n" for n, one in enumerate(instances)))
    items = [
        FIRST + n
        for n, one in enumerate(instances)
        if set(re.findall(r"[A-Z_]+(?=\()", one)) & (DIMENSIONS | TOLERANCES | DATUMS)
    ]
    assert sorted(found) == items


def test_what_refers_to_itself_comes_to_an_end() -> None:
    found = pmi("#100=POSITION_TOLERANCE('T','',#100,#100,(#100));\n#101=DIMENSIONAL_SIZE(#101,#101);")
    assert [one.value for one in found.values()] == [None, None]
