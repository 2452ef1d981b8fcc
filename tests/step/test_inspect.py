"""What inspecting a file finds: UUIDs in every carrier, what they identify, and products."""

import hashlib
from pathlib import Path

import pytest

from dotpeen_step.inspection import Carrier, Inspection, UuidOccurrence, inspect, read_schema
from dotpeen_step.part21 import Part21Error, Part21File
from step.files import AP242_E4, part21

A = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
B = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
C = "8560fe4c-4a0e-5f8c-ae9d-fd8fccf4f9ab"
APPLIED = "APPLIED_EXTERNAL_IDENTIFICATION_ASSIGNMENT"

PART = """#1=APPLICATION_CONTEXT('');
#2=PRODUCT_CONTEXT('',#1,'mechanical');
#3=PRODUCT('PN-1','Bracket','',(#2));
#4=PRODUCT_DEFINITION_FORMATION('A','',#3);
#5=PRODUCT_DEFINITION('design','',#4,$);
#6=PRODUCT_DEFINITION_SHAPE('','',#5);
#10=ADVANCED_FACE('face 1',(),$,.T.);
#11=ADVANCED_FACE('face 2',(),$,.T.);
"""


def found_in(data: str, **options: str) -> Inspection:
    with Part21File.from_bytes(part21(PART + data, **{"schema": AP242_E4, **options}), "part.stp") as file:
        return inspect(file)


def only(data: str, **options: str) -> UuidOccurrence:
    [one] = found_in(data, **options).uuids
    return one


class TestUuidAttributes:
    @pytest.mark.parametrize(
        "items",
        [
            "((#10))",
            "(#10)",
            "#10",
            "UUID_SET_ITEM((#10))",
            "UUID_LIST_ITEM((#10))",
            "(UUID_SET_ITEM((#10)))",
        ],
    )
    def test_an_item_in_every_syntax(self, items: str) -> None:
        one = only(f"#20=V4_UUID_ATTRIBUTE('{A}',{items});")
        assert (one.uuid, one.carrier, one.carrier_ref) == (A, Carrier.V4_UUID_ATTRIBUTE, 20)
        assert (one.target_ref, one.target_keyword, one.target_name) == (10, "ADVANCED_FACE", "face 1")
        assert (one.kind, one.product_ref) == ("topology", 3)

    @pytest.mark.parametrize(
        "items", ["(#10,#11)", "((#10,#11))", "UUID_SET_ITEM((#10,#11))", "((#10),(#11))"]
    )
    def test_several_items_of_one_uuid(self, items: str) -> None:
        found = found_in(f"#20=V5_UUID_ATTRIBUTE('{B}',{items});")
        assert [(one.uuid, one.target_ref) for one in found.uuids] == [(B, 10), (B, 11)]
        assert "uuid-duplicate" not in {finding.rule for finding in found.findings}

    @pytest.mark.parametrize(
        ("instance", "carrier"),
        [
            (f"UUID_ATTRIBUTE('{A}',((#10)))", Carrier.UUID_ATTRIBUTE),
            (f"HASH_BASED_V5_UUID_ATTRIBUTE('{B}',((#10)),'SHA1')", Carrier.HASH_BASED_V5_UUID_ATTRIBUTE),
            (f"UUID_ATTRIBUTE_WITH_APPROXIMATE_LOCATION('{A}',((#10)),$,$)", Carrier.UUID_ATTRIBUTE),
            (f"(UUID_ATTRIBUTE('{B}',((#10)))V5_UUID_ATTRIBUTE())", Carrier.V5_UUID_ATTRIBUTE),
            (
                f"(HASH_BASED_V5_UUID_ATTRIBUTE('SHA1')UUID_ATTRIBUTE('{B}',((#10)))V5_UUID_ATTRIBUTE())",
                Carrier.HASH_BASED_V5_UUID_ATTRIBUTE,
            ),
        ],
    )
    def test_every_entity(self, instance: str, carrier: Carrier) -> None:
        one = only(f"#20={instance};")
        assert (one.carrier, one.target_ref) == (carrier, 10)

    def test_of_a_shape_leads_to_the_product(self) -> None:
        one = only(f"#20=V4_UUID_ATTRIBUTE('{A}',((#6)));")
        assert (one.target_keyword, one.target_name) == ("PRODUCT_DEFINITION_SHAPE", "Bracket")
        assert (one.kind, one.product_ref) == ("product", 3)

    def test_of_a_complex_instance(self) -> None:
        one = only(
            f"#20=V4_UUID_ATTRIBUTE('{A}',((#30)));#31=SHAPE_ASPECT('hole','',#6,.T.);"
            "#30=(GEOMETRIC_TOLERANCE('flat 1','',$,#31)MODIFIED_GEOMETRIC_TOLERANCE(.X.)FLATNESS_TOLERANCE());"
        )
        assert (one.kind, one.target_name) == ("pmi", "flat 1")
        assert one.target_keyword == "GEOMETRIC_TOLERANCE+MODIFIED_GEOMETRIC_TOLERANCE+FLATNESS_TOLERANCE"

    def test_written_with_capitals_and_blanks(self) -> None:
        one = only(f"#20=V4_UUID_ATTRIBUTE(' {A.upper()[:9]} {A.upper()[9:]} ',((#10)));")
        assert (one.uuid, one.text) == (A, f" {A.upper()[:9]} {A.upper()[9:]} ")

    def test_a_prototype(self) -> None:
        found = found_in(
            f"#20=GUID_NAMESPACE('{C}');#21=GUID_ATTRIBUTE('{A}',#6,#20);"
            f"#22=AGGREGATE_GUID_ATTRIBUTE('{B}',#5,#20,(#10,#11));"
        )
        assert [(one.uuid, one.target_ref) for one in found.uuids] == [
            (C, 20), (A, 6), (B, 5), (B, 10), (B, 11),
        ]  # fmt: skip


class TestAnchors:
    def anchored(self, sections: str, data: str = "") -> Inspection:
        return found_in(data, sections=sections, level="4;1")

    def test_a_name_that_is_a_uuid(self) -> None:
        found = self.anchored(f"ANCHOR;\n<{A}>=#6;\n<root>=#5;\nENDSEC;\n")
        [one] = found.uuids
        assert (one.uuid, one.carrier, one.target_ref) == (A, Carrier.ANCHOR, 6)
        assert (one.target_name, one.kind, one.product_ref) == ("Bracket", "product", 3)
        text = part21(
            PART, schema=AP242_E4, level="4;1", sections=f"ANCHOR;\n<{A}>=#6;\n<root>=#5;\nENDSEC;\n"
        )
        assert text[one.offset :].startswith(f"<{A}>".encode())

    def test_an_alias_leads_to_the_item_of_the_other_anchor(self) -> None:
        found = self.anchored(f"ANCHOR;\n<{A}>=<mid>;\n<mid>=<#last>;\n<last>=#10;\nENDSEC;\n")
        [one] = found.uuids
        assert (one.uuid, one.target_ref, one.target_name) == (A, 10, "face 1")

    def test_leads_to_another_file(self) -> None:
        found = self.anchored(f"ANCHOR;\n<{A}>=<other.stp#x>;\nENDSEC;\n")
        [one] = found.uuids
        assert (one.target_ref, one.kind) == (None, "other")
        assert found.errors == 0

    def test_a_reference_to_a_uuid_of_another_file(self) -> None:
        found = self.anchored(f"REFERENCE;\n#50=<other.stp#{A}>;\n#51=<other.stp#face>;\nENDSEC;\n")
        [one] = found.uuids
        assert (one.uuid, one.carrier, one.target_ref) == (A, Carrier.REFERENCE, 50)
        assert one.label == f"other.stp#{A}"
        assert found.errors == 0

    def test_a_uuid_attribute_may_identify_what_is_in_another_file(self) -> None:
        found = self.anchored(
            "REFERENCE;\n#50=<other.stp#face>;\nENDSEC;\n", f"#20=V4_UUID_ATTRIBUTE('{A}',((#50)));"
        )
        assert [one.target_ref for one in found.uuids] == [50]
        assert found.errors == 0


class TestOtherCarriers:
    ATTRIBUTE = (
        "#20=GENERAL_PROPERTY('','{general}','');"
        "#21=PROPERTY_DEFINITION('{name}','',#5);"
        "#22=GENERAL_PROPERTY_ASSOCIATION('','',#20,#21);"
        "#23=DESCRIPTIVE_REPRESENTATION_ITEM('{item}','{value}');"
        "#24=REPRESENTATION('',(#23),$);"
        "#25=PROPERTY_DEFINITION_REPRESENTATION(#21,#24);"
    )

    def attribute(self, *, general: str = "", name: str = "", item: str = "", value: str = A) -> Inspection:
        return found_in(self.ATTRIBUTE.format(general=general, name=name, item=item, value=value))

    @pytest.mark.parametrize(
        "named",
        [{"general": "UUID"}, {"name": "Part uuid"}, {"item": "GUID"}, {"general": "UUID", "name": "x"}],
    )
    def test_a_user_defined_attribute_named_as_uuid(self, named: dict[str, str]) -> None:
        [one] = self.attribute(**named).uuids
        assert (one.uuid, one.carrier, one.carrier_ref) == (A, Carrier.USER_DEFINED, 23)
        assert (one.target_ref, one.kind, one.product_ref) == (5, "product", 3)
        assert one.label == next(name for name in named.values() if name != "x")

    def test_another_name_with_a_value_like_a_uuid(self) -> None:
        [one] = self.attribute(general="Vault entry").uuids
        assert (one.carrier, one.label, one.target_ref) == (Carrier.PROPERTY, "Vault entry", 5)
        assert not one.carrier.identifies

    def test_a_value_that_no_property_has(self) -> None:
        one = only(f"#20=DESCRIPTIVE_REPRESENTATION_ITEM('left over','{A}');")
        assert (one.carrier, one.label, one.target_ref) == (Carrier.PROPERTY, "left over", None)

    def test_a_value_that_is_broken_over_lines(self) -> None:
        [one] = self.attribute(general="UUID", value=f"{A[:20]}\n{A[20:]}").uuids
        assert one.uuid == A

    def test_the_text_of_a_property(self) -> None:
        one = only(f"#20=PROPERTY_DEFINITION('UUID','{A}',#5);")
        assert (one.carrier, one.carrier_ref, one.target_ref) == (Carrier.USER_DEFINED, 20, 5)

    @pytest.mark.parametrize(
        ("instance", "carrier"),
        [
            (f"ID_ATTRIBUTE('{A}',#6)", Carrier.ID_ATTRIBUTE),
            (f"APPLIED_IDENTIFICATION_ASSIGNMENT('{A}',#9,(#6))", Carrier.IDENTIFICATION),
            (
                f"{APPLIED}('{A}',#9,#8,(#6))",
                Carrier.EXTERNAL_IDENTIFICATION,
            ),
            (
                f"(EXTERNAL_IDENTIFICATION_ASSIGNMENT(#8)IDENTIFICATION_ASSIGNMENT('{A}',#9){APPLIED}((#6)))",
                Carrier.EXTERNAL_IDENTIFICATION,
            ),
        ],
    )
    def test_an_assigned_identifier(self, instance: str, carrier: Carrier) -> None:
        one = only(f"#8=EXTERNAL_SOURCE(IDENTIFIER('x'));#9=IDENTIFICATION_ROLE('UUID',$);#20={instance};")
        assert (one.uuid, one.carrier, one.target_ref) == (A, carrier, 6)

    def test_any_other_identifier_is_none(self) -> None:
        assert len(found_in("#20=ID_ATTRIBUTE('Shape Aspect 1',#6);").uuids) == 0


class TestOwnership:
    """Which product an item belongs to, where several have a shape."""

    ASSEMBLY = """#1=PRODUCT('A','','',());#2=PRODUCT_DEFINITION_FORMATION('','',#1);#3=PRODUCT_DEFINITION('','',#2,$);
#4=PRODUCT_DEFINITION_SHAPE('','',#3);#5=SHAPE_DEFINITION_REPRESENTATION(#4,#6);#6=SHAPE_REPRESENTATION('',(#80),$);
#7=SHAPE_REPRESENTATION_RELATIONSHIP('','',#6,#8);#8=ADVANCED_BREP_SHAPE_REPRESENTATION('',(#30),$);
#11=PRODUCT('B','','',());#12=PRODUCT_DEFINITION_FORMATION('','',#11);#13=PRODUCT_DEFINITION('','',#12,$);
#14=PRODUCT_DEFINITION_SHAPE('','',#13);#15=SHAPE_DEFINITION_REPRESENTATION(#14,#16);
#16=ADVANCED_BREP_SHAPE_REPRESENTATION('',(#40),$);
#17=(REPRESENTATION_RELATIONSHIP('','',#16,#6)REPRESENTATION_RELATIONSHIP_WITH_TRANSFORMATION($)
SHAPE_REPRESENTATION_RELATIONSHIP());
#18=NEXT_ASSEMBLY_USAGE_OCCURRENCE('1','b','',#3,#13,$);#19=PRODUCT_DEFINITION_SHAPE('','',#18);
#30=MANIFOLD_SOLID_BREP('',#31);#31=CLOSED_SHELL('',(#32));#32=ADVANCED_FACE('',(#33),#88,.T.);
#33=FACE_OUTER_BOUND('',#34,.T.);#34=EDGE_LOOP('',(#35));#35=ORIENTED_EDGE('',*,*,#36,.T.);
#36=EDGE_CURVE('',#37,#38,$,.T.);#37=VERTEX_POINT('',$);#38=VERTEX_POINT('',$);
#40=MANIFOLD_SOLID_BREP('',#41);#41=CLOSED_SHELL('',(#42));#42=ADVANCED_FACE('',(),#88,.T.);
#50=SHAPE_ASPECT('hole','',#14,.T.);#51=DIMENSIONAL_SIZE(#50,'diameter');
#80=AXIS2_PLACEMENT_3D('',$,$,$);#88=PLANE('shared',#80);
"""

    @pytest.mark.parametrize(
        ("target", "product"),
        [
            (4, 1), (3, 1), (30, 1), (31, 1), (32, 1), (33, 1), (34, 1), (35, 1), (36, 1), (38, 1),
            (14, 11), (40, 11), (41, 11), (42, 11), (50, 11), (51, 11), (18, 11), (19, 11),
            (88, None),
        ],
    )  # fmt: skip
    def test_an_item_leads_to_its_product(self, target: int, product: int | None) -> None:
        text = part21(f"{self.ASSEMBLY}#99=V4_UUID_ATTRIBUTE('{A}',((#{target})));", schema=AP242_E4)
        with Part21File.from_bytes(text) as file:
            [one] = inspect(file).uuids
        assert one.product_ref == product

    def test_a_shape_of_a_revision_instead_of_a_definition_is_no_obstacle(self) -> None:
        data = (
            f"{self.ASSEMBLY}#60=PRODUCT('C','','',());#61=PRODUCT_DEFINITION_FORMATION('','',#60);"
            "#62=PRODUCT_DEFINITION_SHAPE('','',#61);#63=SHAPE_DEFINITION_REPRESENTATION(#62,#64);"
            f"#64=SHAPE_REPRESENTATION('',(#40),$);#99=V4_UUID_ATTRIBUTE('{A}',((#42)));"
        )
        with Part21File.from_bytes(part21(data, schema=AP242_E4)) as file:
            [one] = inspect(file).uuids
        assert one.product_ref is None, "two products show it"

    def test_a_place_in_an_assembly_is_no_product(self) -> None:
        text = part21(f"{self.ASSEMBLY}#99=V4_UUID_ATTRIBUTE('{A}',((#19)));", schema=AP242_E4)
        with Part21File.from_bytes(text) as file:
            [one] = inspect(file).uuids
        assert (one.kind, one.product_ref) == ("other", 11)


class TestProducts:
    def test_each_revision_and_each_definition_is_an_entry(self) -> None:
        found = found_in(
            "#40=PRODUCT_DEFINITION_FORMATION_WITH_SPECIFIED_SOURCE('B','',#3,.MADE.);"
            "#41=PRODUCT_DEFINITION_WITH_ASSOCIATED_DOCUMENTS('','',#40,$,());#42=PRODUCT_DEFINITION('','',#40,$);"
        )
        assert [(part.id, part.revision, part.definition_ref, part.shape_refs) for part in found.parts] == [
            ("PN-1", "A", 5, (6,)),
            ("PN-1", "B", 41, ()),
            ("PN-1", "B", 42, ()),
        ]

    def test_a_quantified_usage_is_a_complex_instance(self) -> None:
        found = found_in(
            "#40=PRODUCT('P2','','',());#41=PRODUCT_DEFINITION_FORMATION('','',#40);"
            "#42=PRODUCT_DEFINITION('','',#41,$);"
            "#43=(ASSEMBLY_COMPONENT_USAGE($)NEXT_ASSEMBLY_USAGE_OCCURRENCE()"
            "PRODUCT_DEFINITION_RELATIONSHIP('7','screws','',#5,#42)PRODUCT_DEFINITION_USAGE()"
            "QUANTIFIED_ASSEMBLY_COMPONENT_USAGE($));"
        )
        [usage] = found.usages
        assert (usage.ref, usage.parent, usage.child, usage.id, usage.name) == (43, 5, 42, "7", "screws")


def test_what_the_file_is() -> None:
    text = part21(PART, schema=AP242_E4, system="CAD 9")
    with Part21File.from_bytes(text, "part.stp") as file:
        found = inspect(file)
    assert (found.file, found.size, found.originating_system) == ("part.stp", len(text), "CAD 9")
    assert found.sha256 == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 1 1 4 }", "AP242 edition 1"),
        ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF {1 0 10303 442 3 1 4}", "AP242 edition 2"),
        ("ap242_managed_model_based_3d_engineering_mim_lf { 1 0 10303 442 6 1 4 }", "AP242 edition 3"),
        ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 7 1 4 }", "AP242 edition 4"),
        (
            "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 4.0757 1 4 }",
            "AP242 edition 4 (prototype)",
        ),
        (
            "AP242_X { iso(1) standard(0) iso10303(10303) part(442) version(4) object(1) schema(4) }",
            "AP242 edition 2",
        ),
        ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF", "AP242"),
        ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 99 1 4 }", "AP242"),
        ("AUTOMOTIVE_DESIGN { 1 0 10303 214 3 1 1 }", "AP214"),
        ("CONFIG_CONTROL_DESIGN", "AP203"),
        ("AP203_CONFIGURATION_CONTROLLED_3D_DESIGN_OF_MECHANICAL_PARTS_AND_ASSEMBLIES_MIM_LF", "AP203"),
        ("IFC4", "IFC4"),
        ("", ""),
        ("{", ""),
    ],
)
def test_protocol_and_edition(raw: str, said: str) -> None:
    assert read_schema(raw).said == said


def test_tells_how_far_it_is(tmp_path: Path) -> None:
    file = tmp_path / "large.stp"
    points = "".join(f"#{ref}=CARTESIAN_POINT('',(0.,0.,0.));\n" for ref in range(100, 60_000))
    file.write_bytes(part21(PART + points + f"#99999=V4_UUID_ATTRIBUTE('{A}',((#10)));", schema=AP242_E4))
    told: list[int] = []
    inspect(file, progress=told.append)
    assert told == sorted(told)
    assert told
    assert told[-1] <= file.stat().st_size


def test_a_broken_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "cut.stp"
    file.write_bytes(part21(PART)[:-40])
    with pytest.raises(Part21Error, match=r"cut\.stp:\d+: "):
        inspect(file)
