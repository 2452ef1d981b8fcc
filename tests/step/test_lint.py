"""What is found wrong with a file, where, and what to do."""

import re
from pathlib import Path

import pytest

from dotpeen_step.inspection import Finding, Inspection, inspect
from dotpeen_step.inspection.findings import SEVERITIES
from dotpeen_step.part21 import Part21File
from step.files import AP242_E2, AP242_E4, part21

A = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
B = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
PART = (
    "#3=PRODUCT('PN-1','Bracket','',());#4=PRODUCT_DEFINITION_FORMATION('A','',#3);"
    "#5=PRODUCT_DEFINITION('','',#4,$);#6=PRODUCT_DEFINITION_SHAPE('','',#5);\n"
    "#10=ADVANCED_FACE('face 1',(),$,.T.);#11=ADVANCED_FACE('face 2',(),$,.T.);\n"
)
SHAPE = "#19=V4_UUID_ATTRIBUTE('7d9f4c1e-1f0b-4a51-9b7e-0a1f6f3d2c10',((#6)));\n"
"""So that nothing is said of a product without a UUID."""


def linted(data: str, **options: str) -> Inspection:
    with Part21File.from_bytes(part21(data, **{"schema": AP242_E4, **options}), "part.stp") as file:
        return inspect(file)


def findings(data: str, **options: str) -> list[Finding]:
    return list(linted(PART + SHAPE + data, **options).findings)


def only(data: str, **options: str) -> Finding:
    [finding] = findings(data, **options)
    return finding


def test_nothing_is_wrong_with_a_good_file() -> None:
    assert findings(f"#20=V4_UUID_ATTRIBUTE('{A}',((#10)));#21=V5_UUID_ATTRIBUTE('{B}',((#11)));") == []


class TestUuids:
    @pytest.mark.parametrize("text", ["", "plate", A[:-1], f"{A}0", "zzzzzzzz-93a0-4c55-8b05-6f4f8a8f3c01"])
    def test_malformed(self, text: str) -> None:
        finding = only(f"#20=V4_UUID_ATTRIBUTE('{text}',((#10)));")
        assert (finding.severity, finding.rule) == ("error", "uuid-malformed")
        assert finding.message.startswith("#20 V4_UUID_ATTRIBUTE: ")

    @pytest.mark.parametrize("text", ["00000000-0000-0000-0000-000000000000", "F" * 32])
    def test_one_that_identifies_nothing(self, text: str) -> None:
        assert only(f"#20=V4_UUID_ATTRIBUTE('{text}',((#10)));").rule == "uuid-malformed"

    def test_where_it_is(self) -> None:
        text = part21(f"{PART}{SHAPE}\n\n#20=V4_UUID_ATTRIBUTE('?',((#10)));", schema=AP242_E4)
        for ends in (b"\n", b"\r\n", b"\r"):
            data = text.replace(b"\n", ends)
            with Part21File.from_bytes(data) as file:
                [finding] = inspect(file).findings
            assert data[finding.byte :].startswith(b"#20=")
            assert finding.line == text[: text.index(b"#20=")].count(b"\n") + 1

    @pytest.mark.parametrize("text", [A.upper(), f" {A}", f"{{{A}}}", f"urn:uuid:{A}", A.replace("-", "")])
    def test_written_in_another_form(self, text: str) -> None:
        finding = only(f"#20=V4_UUID_ATTRIBUTE('{text}',((#10)));")
        assert (finding.severity, finding.rule) == ("warning", "uuid-form")
        assert finding.message.endswith(f"is read as {A}")

    @pytest.mark.parametrize(
        ("attribute", "uuid", "said"),
        [
            ("V4_UUID_ATTRIBUTE", B, "version digit 5, not that of version 4"),
            ("V5_UUID_ATTRIBUTE", A, "version digit 4, not that of version 5"),
            ("V4_UUID_ATTRIBUTE", f"{A[:19]}c{A[20:]}", "variant digit c, not that of version 4"),
        ],
    )
    def test_of_another_version(self, attribute: str, uuid: str, said: str) -> None:
        finding = only(f"#20={attribute}('{uuid}',((#10)));")
        assert (finding.severity, finding.rule) == ("warning", "uuid-version")
        assert said in finding.message

    def test_on_different_items(self) -> None:
        finding = only(f"#20=V4_UUID_ATTRIBUTE('{A}',((#10)));#21=V4_UUID_ATTRIBUTE('{A}',((#11)));")
        assert (finding.severity, finding.rule) == ("error", "uuid-duplicate")
        assert "#10 ADVANCED_FACE 'face 1' (#20 v4-uuid-attribute)" in finding.message
        assert "#11 ADVANCED_FACE 'face 2' (#21 v4-uuid-attribute)" in finding.message

    def test_compared_whatever_the_form(self) -> None:
        found = findings(
            f"#20=V4_UUID_ATTRIBUTE('{A}',((#10)));#21=V4_UUID_ATTRIBUTE('{A.upper()}',((#11)));"
        )
        assert {finding.rule for finding in found} == {"uuid-duplicate", "uuid-form"}

    def test_the_same_product_may_carry_its_uuid_twice(self) -> None:
        data = f"#20=V4_UUID_ATTRIBUTE('{A}',((#6)));#21=PROPERTY_DEFINITION('UUID','{A}',#5);"
        assert list(linted(PART + data).findings) == []

    def test_several_on_one_item(self) -> None:
        finding = only(f"#20=V4_UUID_ATTRIBUTE('{A}',((#10)));#21=V5_UUID_ATTRIBUTE('{B}',((#10)));")
        assert (finding.severity, finding.rule) == ("warning", "uuid-several")
        assert A in finding.message
        assert B in finding.message

    def test_the_value_of_some_property_is_not_its_uuid(self) -> None:
        assert findings(f"#20=PROPERTY_DEFINITION('vault','{A}',#6);") == []

    def test_an_item_that_is_not_there(self) -> None:
        finding = only(f"#20=V4_UUID_ATTRIBUTE('{A}',((#999)));")
        assert (finding.severity, finding.rule) == ("error", "uuid-dangling")
        assert "#999, which is not in the file" in finding.message

    def test_no_item(self) -> None:
        assert only(f"#20=V4_UUID_ATTRIBUTE('{A}',());").rule == "uuid-no-target"

    def test_an_item_that_the_attribute_cannot_identify(self) -> None:
        [finding] = linted(f"{PART}#20=V4_UUID_ATTRIBUTE('{A}',((#3)));").findings
        assert (finding.severity, finding.rule) == ("warning", "uuid-target")

    def test_an_attribute_named_as_uuid_with_another_value(self) -> None:
        finding = only(
            "#20=PROPERTY_DEFINITION('UUID','',#5);#23=DESCRIPTIVE_REPRESENTATION_ITEM('UUID','none yet');"
            "#24=REPRESENTATION('',(#23),$);#25=PROPERTY_DEFINITION_REPRESENTATION(#20,#24);"
        )
        assert (finding.severity, finding.rule) == ("error", "uuid-malformed")
        assert "'none yet'" in finding.message


class TestEditions:
    ATTRIBUTE = f"#20=V4_UUID_ATTRIBUTE('{A}',((#6)));"

    @pytest.mark.parametrize(
        ("schema", "severity"),
        [
            (AP242_E2, "error"),
            ("AUTOMOTIVE_DESIGN { 1 0 10303 214 3 1 1 }", "error"),
            ("AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF", "warning"),
        ],
    )
    def test_uuid_attributes_in_a_file_of_another_edition(self, schema: str, severity: str) -> None:
        [finding] = linted(PART + self.ATTRIBUTE, schema=schema).findings
        assert (finding.rule, finding.severity) == ("carrier-edition", severity)

    def test_prototypes(self) -> None:
        [finding] = linted(f"{PART}#20=GUID_ATTRIBUTE('{A}',#6,$);").findings
        assert (finding.rule, finding.severity) == ("carrier-prototype", "warning")

    def test_anchors_in_a_file_of_edition_2(self) -> None:
        finding = only("", sections="ANCHOR;\n<root>=#5;\nENDSEC;\n", level="2;1")
        assert (finding.rule, finding.severity, finding.line) == ("anchor-level", "error", 7)
        assert findings("", sections="ANCHOR;\n<root>=#5;\nENDSEC;\n", level="4;1") == []

    def test_a_data_section_of_a_schema_that_is_not_declared(self) -> None:
        text = part21("#1=PRODUCT('','','',());", schema=AP242_E4, level="4;1").replace(
            b"DATA;", b"DATA('one',('AUTOMOTIVE_DESIGN'));"
        )
        with Part21File.from_bytes(text) as file:
            found = inspect(file).findings
        assert [finding.rule for finding in found] == ["schema-undeclared", "product-without-uuid"]


class TestAnchors:
    def found(self, *anchors: str) -> list[Finding]:
        return findings("", sections="ANCHOR;\n" + "\n".join(anchors) + "\nENDSEC;\n", level="4;1")

    @pytest.mark.parametrize("name", [A.upper().replace("-", ""), f"urn:uuid:{A}", f"uuid-{A}", f"%7B{A}%7D"])
    def test_names_that_look_like_a_uuid(self, name: str) -> None:
        [finding] = self.found(f"<{name}>=#10;")
        assert (finding.rule, finding.severity) == ("anchor-form", "warning")

    @pytest.mark.parametrize("name", ["root", "face_1", "a-b-c-d-e", "0123456789"])
    def test_other_names_are_of_no_interest(self, name: str) -> None:
        assert self.found(f"<{name}>=#10;") == []

    def test_leading_nowhere(self) -> None:
        [first, second] = self.found(f"<{A}>=#998;", "<root>=#999;")
        assert (first.rule, second.rule) == ("uuid-dangling", "anchor-dangling")

    def test_leading_to_an_anchor_that_is_not_there(self) -> None:
        assert [finding.rule for finding in self.found(f"<{A}>=<#b>;")] == ["anchor-dangling"]

    def test_leading_back(self) -> None:
        rules = [finding.rule for finding in self.found("<a>=<b>;", "<b>=<c>;", "<c>=<b>;")]
        assert rules == ["anchor-loop"] * 3


class TestProducts:
    SECOND = (
        "#43=PRODUCT('PN-2','','',());#44=PRODUCT_DEFINITION_FORMATION('','',#43);"
        "#45=PRODUCT_DEFINITION('','',#44,$);"
    )

    def test_without_a_uuid(self) -> None:
        [finding] = linted(PART).findings
        assert (finding.rule, finding.message) == ("product-without-uuid", "1 product has no UUID: 'PN-1'")
        [finding] = linted(PART + self.SECOND).findings
        assert finding.message == "2 of 2 products have no UUID: 'PN-1', 'PN-2'"
        assert only(self.SECOND).message == "1 product has no UUID: 'PN-2'"

    def test_with_the_same_id(self) -> None:
        found = linted(PART + SHAPE + self.SECOND.replace("PN-2", "PN-1")).findings
        assert [finding.rule for finding in found] == ["product-same-id", "product-without-uuid"]

    def test_an_assembly_without_a_component(self) -> None:
        finding = only("#50=NEXT_ASSEMBLY_USAGE_OCCURRENCE('','','',#5,#999,$);")
        assert (finding.rule, finding.severity) == ("assembly-dangling", "error")
        assert "#999 is no product definition" in finding.message

    def test_an_assembly_that_contains_itself(self) -> None:
        found = findings(
            f"{self.SECOND}#46=PROPERTY_DEFINITION('UUID','{A}',#45);"
            "#50=NEXT_ASSEMBLY_USAGE_OCCURRENCE('','','',#5,#45,$);"
            "#51=NEXT_ASSEMBLY_USAGE_OCCURRENCE('','','',#45,#5,$);"
        )
        assert [(finding.rule, finding.severity) for finding in found] == [("assembly-cycle", "error")]


def test_what_is_wrong_everywhere_is_told_a_hundred_times_and_counted() -> None:
    data = "".join(f"#{ref}=V4_UUID_ATTRIBUTE('?',((#10)));" for ref in range(100, 350))
    found = linted(PART + SHAPE + data)
    assert len(found.findings) == 100
    assert found.left_out == {"uuid-malformed": 150}
    assert found.errors == 250


def test_every_finding_says_what_to_do() -> None:
    found = linted(f"{PART}#20=V5_UUID_ATTRIBUTE('{A.upper()}',((#3,#999)));", schema=AP242_E2)
    assert {finding.rule for finding in found.findings} >= {"carrier-edition", "uuid-version", "uuid-form"}
    assert all(finding.hint for finding in found.findings)
    assert list(found.findings) == sorted(found.findings, key=lambda finding: (finding.byte, finding.rule))


def test_the_docs_list_every_rule_with_its_severity(repository: Path) -> None:
    section = (repository / "docs" / "step.md").read_text().split("### What is checked")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (`[^|]+) \| (error|warning) \|", section, re.MULTILINE)
    listed = {name: severity for names, severity in rows for name in re.findall("`([^`]+)`", names)}
    assert listed == SEVERITIES
