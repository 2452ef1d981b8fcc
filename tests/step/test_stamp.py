"""Stamping: the part's UUID is in the file, everything else is as it was, and nothing is guessed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.part21 import Part21Error, Part21File, Part21LimitError
from dotpeen_step.stamping import (
    CARRIERS,
    CollisionError,
    NoProductError,
    StampError,
    StampPlan,
    Wanted,
    plan_stamps,
    stamp,
)
from dotpeen_step.stamping.edits import edited

from .files import AP242_E4, part21

UUID = "550e8400-e29b-41d4-a716-446655440000"
OTHER = "6ba7b811-9dad-41d1-80b4-00c04fd430c8"
UUID_5 = "886313e1-3b8a-5372-9b90-0c9aee199e5d"
UUID_7 = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
E4_PROTOTYPE = "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 4.0757 1 4 }"

PLATE = """\
#1=APPLICATION_CONTEXT('managed model based 3d engineering');
#2=PRODUCT_CONTEXT('',#1,'mechanical');
#3=PRODUCT_DEFINITION_CONTEXT('part definition',#1,'design');
#10=PRODUCT('PN-1','Plate','',(#2));
#11=PRODUCT_DEFINITION_FORMATION('A','',#10);
#12=PRODUCT_DEFINITION('design','',#11,#3); /* the plate */
#13=PRODUCT_DEFINITION_SHAPE('','',#12);
#14=SHAPE_DEFINITION_REPRESENTATION(#13,#15);
#15=SHAPE_REPRESENTATION('',(),#16);
#16=(GEOMETRIC_REPRESENTATION_CONTEXT(3)REPRESENTATION_CONTEXT('','3D'));
"""
BOLT = """\
#20=PRODUCT('PN-2','Bolt','',(#2));
#21=PRODUCT_DEFINITION_FORMATION('A','',#20);
#22=PRODUCT_DEFINITION('design','',#21,#3);
#23=PRODUCT_DEFINITION_SHAPE('','',#22);
"""
STANDARD = "#30=PRODUCT('ISO 1101','','',(#2));\n#31=PRODUCT_DEFINITION_FORMATION('2017','',#30);\n"


def wanted(
    uuid: str = UUID, number: str | None = "PN-1", choice: str | None = None, part: str = "PN-1"
) -> Wanted:
    return Wanted(part, uuid, number, choice)


PN_1 = wanted()
PN_2 = wanted(OTHER, "PN-2", part="PN-2")


def planned(content: bytes, *parts: Wanted, carrier: Carrier = Carrier.USER_DEFINED) -> StampPlan:
    with Part21File.from_bytes(content, "plate.stp") as file:
        return plan_stamps(file, parts or [PN_1], carrier)


def stamped(content: bytes, *parts: Wanted, carrier: Carrier = Carrier.USER_DEFINED) -> bytes:
    return edited(content, planned(content, *parts, carrier=carrier).edits)


def inserted(content: bytes, *parts: Wanted, carrier: Carrier = Carrier.USER_DEFINED) -> list[str]:
    """The lines that a file has more, stamped; fails where something else changed."""
    before = content.splitlines()
    after = stamped(content, *parts, carrier=carrier).splitlines()
    added = list(after)
    for line in before:
        added.remove(line)
    assert [line for line in after if line not in added] == [line for line in before if line not in added]
    return [line.decode() for line in added]


def uuids(content: bytes, tmp_path: Path) -> list[tuple[str, str, str, int | None]]:
    file = tmp_path / "inspected.stp"
    file.write_bytes(content)
    return [(one.uuid, one.carrier.value, one.label, one.product_ref) for one in inspect(file).uuids]


# What is written


def test_the_uuid_becomes_a_user_defined_attribute_of_the_product_definition() -> None:
    assert inserted(part21(PLATE)) == [
        "#100=PROPERTY_DEFINITION('Dotpeen UUID','',#12);",
        "#101=GENERAL_PROPERTY('','Dotpeen UUID','');",
        "#102=GENERAL_PROPERTY_ASSOCIATION('','',#101,#100);",
        f"#103=DESCRIPTIVE_REPRESENTATION_ITEM('','{UUID}');",
        "#104=REPRESENTATION('',(#103),#16);",
        "#105=PROPERTY_DEFINITION_REPRESENTATION(#100,#104);",
    ]


def test_it_stands_at_the_end_of_the_data() -> None:
    after = stamped(part21(PLATE))
    assert after.startswith(part21(PLATE).partition(b"ENDSEC;\nEND-ISO")[0])
    assert after.endswith(
        b"#105=PROPERTY_DEFINITION_REPRESENTATION(#100,#104);\nENDSEC;\nEND-ISO-10303-21;\n"
    )


def test_it_stands_in_the_section_of_the_definition_whose_comment_stays_with_it() -> None:
    sections = b"DATA('A',('AP242'));\n%sENDSEC;\nDATA('B',('AP242'));\n"
    content = part21(BOLT).replace(b"DATA;\n", sections % PLATE.encode())
    after = stamped(content)
    assert b"#3); /* the plate */\n#100=PROPERTY_DEFINITION" in after
    assert b"#105=PROPERTY_DEFINITION_REPRESENTATION(#100,#104);\n#13=" in after


def test_a_file_without_any_context_gets_one() -> None:
    plan = inserted(part21(BOLT), PN_2)
    assert plan[0] == "#100=REPRESENTATION_CONTEXT('','attributes');"
    assert "#105=REPRESENTATION('',(#104),#100);" in plan


def test_a_product_without_a_shape_gets_the_context_of_the_file() -> None:
    assert "#104=REPRESENTATION('',(#103),#16);" in inserted(part21(PLATE + BOLT), PN_2)


def test_the_anchor_section_is_put_behind_the_header_and_the_level_is_raised() -> None:
    content = part21(PLATE, level="2;1")
    assert stamped(content, carrier=Carrier.ANCHOR) == content.replace(b"'2;1'", b"'4;1'").replace(
        b"ENDSEC;\nDATA;", f"ENDSEC;\nANCHOR;\n<{UUID}>=#12;\nENDSEC;\nDATA;".encode()
    )


@pytest.mark.parametrize(
    ("level", "raised"), [("1", "4;1"), ("2;1", "4;1"), ("2;2", "4;2"), ("3;1", "4;1"), ("", "4;1")]
)
def test_only_the_version_is_raised_the_conformance_class_stays(level: str, raised: str) -> None:
    after = stamped(part21(PLATE, level=level), carrier=Carrier.ANCHOR)
    assert f"FILE_DESCRIPTION((''),'{raised}');".encode() in after


@pytest.mark.parametrize("level", ["4;1", "4;3", "5;1"])
def test_a_level_that_knows_anchors_stays(level: str) -> None:
    assert planned(part21(PLATE, level=level), carrier=Carrier.ANCHOR).raised is None


def test_an_anchor_joins_those_that_are_there() -> None:
    content = part21(PLATE, level="4;2", sections="ANCHOR;\n<root>=#10;\nENDSEC;\nREFERENCE;\nENDSEC;\n")
    assert inserted(content, carrier=Carrier.ANCHOR) == [f"<{UUID}>=#12;"]
    assert f"<root>=#10;\n<{UUID}>=#12;\nENDSEC;\nREFERENCE".encode() in stamped(
        content, carrier=Carrier.ANCHOR
    )


@pytest.mark.parametrize(
    ("schema", "identified"), [(AP242_E4, "UUID_SET_ITEM((#13))"), (E4_PROTOTYPE, "((#13))")]
)
@pytest.mark.parametrize(("uuid", "entity"), [(UUID, "V4"), (UUID_5, "V5")])
def test_the_uuid_attribute_is_of_the_shape_and_of_the_uuids_version(
    schema: str, identified: str, uuid: str, entity: str
) -> None:
    added = inserted(part21(PLATE, schema=schema), wanted(uuid), carrier=Carrier.UUID_ATTRIBUTE)
    assert added == [f"#100={entity}_UUID_ATTRIBUTE('{uuid}',{identified});"]


def test_a_uuid_attribute_is_written_as_the_file_writes_its_others() -> None:
    content = part21(PLATE + f"#40=V4_UUID_ATTRIBUTE('{OTHER}',((#16)));\n", schema=AP242_E4)
    assert inserted(content, carrier=Carrier.UUID_ATTRIBUTE) == [f"#100=V4_UUID_ATTRIBUTE('{UUID}',((#13)));"]


def test_several_parts_are_stamped_at_once(tmp_path: Path) -> None:
    for carrier in (Carrier.USER_DEFINED, Carrier.ANCHOR):
        after = stamped(part21(PLATE + BOLT), PN_1, PN_2, carrier=carrier)
        found = {(one[0], one[1], one[3]) for one in uuids(after, tmp_path)}
        assert found == {(UUID, carrier.value, 10), (OTHER, carrier.value, 20)}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("carrier", [Carrier.USER_DEFINED, Carrier.ANCHOR])
def test_lines_end_as_the_files_do(newline: bytes, carrier: Carrier) -> None:
    after = stamped(part21(PLATE, newline=newline), carrier=carrier)
    assert after.replace(newline, b"\n") == stamped(part21(PLATE), carrier=carrier)
    assert after.replace(newline, b"").count(b"\n") + after.replace(newline, b"").count(b"\r") == 0


def test_a_file_of_one_line_stays_one(tmp_path: Path) -> None:
    content = part21(PLATE.replace(" /* the plate */", "")).replace(b"\n", b"")
    after = stamped(content)
    assert uuids(after, tmp_path) == [(UUID, "user-defined", "Dotpeen UUID", 10)]


def test_a_byte_order_mark_and_what_only_looks_like_data_are_no_obstacle(tmp_path: Path) -> None:
    odd = "#50=PRODUCT('it''s #17=PRODUCT(''PN-1''); ENDSEC;','/* \\X2\\03A9\\X0\\ */','',(#2)); /* #18=PRODUCT( */\n"
    content = b"\xef\xbb\xbf" + part21(PLATE + odd)
    after = stamped(content)
    assert after.startswith(b"\xef\xbb\xbfISO-10303-21;")
    assert uuids(after, tmp_path) == [(UUID, "user-defined", "Dotpeen UUID", 10)]


def test_an_instance_over_many_lines_and_with_blanks_is_found(tmp_path: Path) -> None:
    content = part21(PLATE.replace("#10=PRODUCT(", "#10 =\n  PRODUCT\n(").replace("'PN-1'", "\n 'PN-1'"))
    assert uuids(stamped(content), tmp_path) == [(UUID, "user-defined", "Dotpeen UUID", 10)]


# Twice


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_second_stamp_changes_nothing(carrier: Carrier) -> None:
    once = stamped(part21(PLATE + BOLT, schema=AP242_E4), PN_1, PN_2, carrier=carrier)
    again = planned(once, PN_1, PN_2, carrier=carrier)
    assert (again.edits, again.raised) == ((), None)
    assert [(one.outcome, one.match.by) for one in again.stamps] == [("unchanged", "uuid")] * 2


def test_what_is_missing_is_added_beside_what_is_there() -> None:
    once = stamped(part21(PLATE + BOLT), PN_1)
    plan = planned(once, PN_1, PN_2)
    assert [one.outcome for one in plan.stamps] == ["unchanged", "stamped"]
    assert len(plan.edits) == 1


@pytest.mark.parametrize("text", [UUID.upper(), f"{{{UUID}}}", f"urn:uuid:{UUID}", f" {UUID} "])
def test_a_uuid_that_is_written_otherwise_is_the_same(text: str) -> None:
    once = stamped(part21(PLATE)).replace(UUID.encode(), text.encode())
    assert planned(once).edits == ()


def test_one_carrier_does_not_stand_for_another(tmp_path: Path) -> None:
    both = stamped(stamped(part21(PLATE)), carrier=Carrier.ANCHOR)
    assert sorted(one[1] for one in uuids(both, tmp_path)) == ["anchor", "user-defined"]


def test_an_anchor_on_the_products_shape_is_not_given_a_second_time() -> None:
    content = part21(PLATE, level="4;1", sections=f"ANCHOR;\n<{UUID}>=#13;\nENDSEC;\n")
    assert planned(content, carrier=Carrier.ANCHOR).edits == ()


# Which product


def test_the_product_that_carries_the_uuid_comes_before_the_number() -> None:
    renamed = stamped(part21(PLATE + BOLT)).replace(b"'PN-1'", b"'PN-1 old'").replace(b"'PN-2'", b"'PN-1'")
    (one,) = planned(renamed).stamps
    assert (one.match.product.ref, one.match.by, one.outcome) == (10, "uuid", "unchanged")


@pytest.mark.parametrize(
    ("choice", "product", "definition"), [("PN-2", 20, 22), ("#20", 20, 22), ("#22", 20, 22), ("#10", 10, 12)]
)
def test_a_product_can_be_chosen(choice: str, product: int, definition: int) -> None:
    (one,) = planned(part21(PLATE + BOLT), wanted(choice=choice)).stamps
    assert (one.match.product.ref, one.match.definition.ref, one.match.by) == (product, definition, "choice")


@pytest.mark.parametrize(
    ("data", "one", "message", "candidates"),
    [
        (PLATE + BOLT, wanted(number="PN-9"), "no product has the id 'PN-9'", [10, 20]),
        (PLATE + BOLT, wanted(number="pn-1"), "no product has the id 'pn-1'", [10, 20]),
        (PLATE + BOLT.replace("PN-2", "PN-1"), wanted(), "2 products have the id 'PN-1'", [10, 20]),
        (PLATE, wanted(number=None), "no part number", [10]),
        (PLATE + BOLT, wanted(choice="NUT"), "no product has the id 'NUT'", [10, 20]),
        (PLATE + BOLT, wanted(choice="#13"), "#13 is neither a PRODUCT nor a PRODUCT_DEFINITION", [10, 20]),
        (PLATE + STANDARD, wanted(number="PN-9"), "no product has the id 'PN-9'", [10]),
        ("#1=X();", wanted(), "the file has no product that it could be", []),
    ],
)
def test_what_is_not_certain_is_an_error_that_names_the_candidates(
    data: str, one: Wanted, message: str, candidates: list[int]
) -> None:
    with pytest.raises(NoProductError, match=message) as raised:
        planned(part21(data), one)
    assert [product.ref for product in raised.value.candidates] == candidates


def test_a_product_without_a_definition_is_refused() -> None:
    with pytest.raises(StampError, match="PRODUCT #30 'ISO 1101' has no PRODUCT_DEFINITION"):
        planned(part21(PLATE + STANDARD), wanted(number="ISO 1101"))


def test_a_product_with_several_definitions_has_one_chosen() -> None:
    content = part21(PLATE + "#40=PRODUCT_DEFINITION('analysis','',#11,#3);\n")
    with pytest.raises(StampError, match="2 PRODUCT_DEFINITIONs: #12, #40") as raised:
        planned(content)
    assert raised.value.hint == "choose one as PN-1=#12"
    assert inserted(content, wanted(choice="#40"))[0] == "#100=PROPERTY_DEFINITION('Dotpeen UUID','',#40);"


def test_two_parts_are_not_one_product() -> None:
    with pytest.raises(StampError, match="which PN-1 has already"):
        planned(part21(PLATE + BOLT), PN_1, wanted(OTHER, part="PN-2", choice="#10"))


def test_one_part_is_not_two_products() -> None:
    with pytest.raises(StampError, match="can be of one product only"):
        planned(part21(PLATE + BOLT), PN_1, wanted(choice="PN-2"))


# Collisions


@pytest.mark.parametrize("carrier", CARRIERS)
def test_another_uuid_in_the_place_of_ours_is_refused(carrier: Carrier) -> None:
    once = stamped(part21(PLATE, schema=AP242_E4), wanted(OTHER), carrier=carrier)
    with pytest.raises(CollisionError, match=f"has another UUID there, {OTHER}"):
        planned(once, carrier=carrier)


@pytest.mark.parametrize("there", CARRIERS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_uuid_of_another_product_is_refused(there: Carrier, carrier: Carrier) -> None:
    once = stamped(part21(PLATE + BOLT, schema=AP242_E4), wanted(choice="PN-2"), carrier=there)
    with pytest.raises(CollisionError, match=f"PRODUCT #20 'PN-2' \\(Bolt\\) carries its UUID {UUID}"):
        planned(once, wanted(choice="PN-1"), carrier=carrier)


@pytest.mark.parametrize(
    "on",
    [
        f"#50=V4_UUID_ATTRIBUTE('{UUID.upper()}',((#16)));",
        f"#50=V4_UUID_ATTRIBUTE('{UUID}',UUID_SET_ITEM((#15)));",
        f"#50=ID_ATTRIBUTE('{UUID}',#15);",
    ],
)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_uuid_that_something_else_has_is_refused(on: str, carrier: Carrier) -> None:
    with pytest.raises(CollisionError, match=f"its UUID {UUID} is on #1[56]"):
        planned(part21(PLATE + on, schema=AP242_E4), carrier=carrier)


def test_a_uuid_that_stands_in_some_text_is_no_collision() -> None:
    content = part21(PLATE + f"#50=REPRESENTATION('made from {UUID}',(),#16); /* {UUID} */")
    assert [one.outcome for one in planned(content).stamps] == ["stamped"]


def test_attributes_and_uuids_of_other_systems_are_their_own_business() -> None:
    others = f"""\
#50=PROPERTY_DEFINITION('PLM UUID','',#12);
#51=DESCRIPTIVE_REPRESENTATION_ITEM('PLM UUID','{OTHER}');
#52=REPRESENTATION('',(#51),#16);
#53=PROPERTY_DEFINITION_REPRESENTATION(#50,#52);
#54=V5_UUID_ATTRIBUTE('{UUID_5}',((#13)));
"""
    content = part21(
        PLATE + others, schema=AP242_E4, sections=f"ANCHOR;\n<{OTHER}>=#12;\nENDSEC;\n", level="4;1"
    )
    assert [one.outcome for one in planned(content).stamps] == ["stamped"]


# What can't be stamped


@pytest.mark.parametrize(
    "schema", ["AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }", E4_PROTOTYPE.replace("4.0757", "6")]
)
def test_a_uuid_attribute_needs_edition_4(schema: str) -> None:
    with pytest.raises(StampError, match="needs AP242 edition 4"):
        planned(part21(PLATE, schema=schema), carrier=Carrier.UUID_ATTRIBUTE)


def test_a_uuid_attribute_needs_a_version_that_edition_4_has() -> None:
    with pytest.raises(ConfigurationError, match="versions 4 and 5 only"):
        planned(part21(PLATE, schema=AP242_E4), wanted(UUID_7), carrier=Carrier.UUID_ATTRIBUTE)


def test_a_uuid_attribute_needs_one_shape() -> None:
    with pytest.raises(StampError, match="has #13, #40"):
        planned(
            part21(PLATE + "#40=PRODUCT_DEFINITION_SHAPE('','',#12);", schema=AP242_E4),
            carrier=Carrier.UUID_ATTRIBUTE,
        )


def test_a_signed_file_is_left_alone() -> None:
    with pytest.raises(Part21Error, match="it is signed"):
        planned(part21(PLATE, level="4;3") + b"SIGNATURE;\nMFoGCSqGSIb3DQEHAqBN\nENDSEC;\n")


@pytest.mark.parametrize("cut", [20, 60, 200])
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(Part21Error, match="END-ISO-10303-21"):
        planned(part21(PLATE)[:-cut])


@pytest.mark.parametrize("content", [b"", b"solid cube\n", b"PK\x03\x04", b"ISO-10303-21;\nHEADER;\n"])
def test_what_is_no_step_file_is_refused(content: bytes) -> None:
    with pytest.raises(Part21Error):
        planned(content)


def test_more_attributes_than_anybody_writes_are_refused() -> None:
    items = ",".join(f"#{n}" for n in range(10_000, 10_400))
    data = PLATE + "".join(f"#{n}=DESCRIPTIVE_REPRESENTATION_ITEM('','x');\n" for n in range(10_000, 10_400))
    data += f"#100=REPRESENTATION('',({items}),#16);\n"
    for n in range(20_000, 20_300):
        data += f"#{n}=PROPERTY_DEFINITION('Dotpeen UUID','',#12);\n"
        data += f"#{n + 1000}=PROPERTY_DEFINITION_REPRESENTATION(#{n},#100);\n"
    with pytest.raises(Part21LimitError, match="more than 100,000 attributes"):
        planned(part21(data))


def test_what_only_looks_like_the_end_of_the_data_takes_nothing() -> None:
    end = "ENDSEC;\nEND-ISO-10303-21;\n"
    for text in (f"#90=X('{end}", f"/* #90=X(); {end}"):
        content = part21(PLATE + text).removesuffix(end.encode())
        with pytest.raises(Part21Error):
            planned(content)


# Files


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "plate.stp"
    file.write_bytes(part21(PLATE))
    assert stamp(file, [PN_1], None).plan.edits
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (part21(PLATE), [file])


def test_a_file_that_has_the_uuid_is_copied_byte_for_byte_and_not_written_onto_itself(tmp_path: Path) -> None:
    file, copy = tmp_path / "plate.stp", tmp_path / "copy.stp"
    file.write_bytes(stamped(part21(PLATE)))
    before = file.stat().st_mtime_ns, file.stat().st_ino
    assert stamp(file, [PN_1], file).size is None
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    assert stamp(file, [PN_1], copy).size == file.stat().st_size
    assert copy.read_bytes() == file.read_bytes()


def test_a_file_can_be_stamped_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "plate.stp"
    file.write_bytes(part21(PLATE))
    stamp(file, [PN_1], file)
    assert file.read_bytes() == stamped(part21(PLATE))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_large_file_that_is_copied_ahead_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carrier: Carrier
) -> None:
    monkeypatch.setattr(sys.modules[stamp.__module__], "_WORTH_IT", 0)
    file, out = tmp_path / "plate.stp", tmp_path / "out.stp"
    content = part21(PLATE, schema=AP242_E4)
    file.write_bytes(content)
    done = stamp(file, [PN_1], out, carrier=carrier)
    assert (out.read_bytes(), done.size) == (stamped(content, carrier=carrier), out.stat().st_size)
    with pytest.raises(StampError):
        stamp(file, [PN_2], tmp_path / "other.stp", carrier=carrier)
    assert sorted(tmp_path.iterdir()) == [out, file]


def test_an_error_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "plate.stp"
    file.write_bytes(part21(PLATE))
    with pytest.raises(DotpeenError):
        stamp(file, [PN_1, PN_2], tmp_path / "out.stp")
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_written_to_meanwhile_is_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plate.stp"
    file.write_bytes(part21(PLATE))
    real = plan_stamps

    def slow(*arguments: object) -> StampPlan:
        plan = real(*arguments)  # type: ignore[arg-type]
        file.write_bytes(part21(BOLT + PLATE))
        return plan

    monkeypatch.setattr(sys.modules[stamp.__module__], "plan_stamps", slow)
    with pytest.raises(ConfigurationError, match="was written to while it was read"):
        stamp(file, [PN_1], tmp_path / "out.stp")
    assert list(tmp_path.iterdir()) == [file]


# Real files


@pytest.mark.parametrize("carrier", [Carrier.USER_DEFINED, Carrier.ANCHOR])
@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("NX_Plate_w_Hole_UUIDS_Rev_0.0.stp", ["#567"]),
        ("NX_Plate_w_Hole_UUIDS_Rev_0.1.stp", ["#567"]),
        ("V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp", ["#5"]),
        ("V56R2022_plate_w_hole_UUIDS_rev_0.0.stp", ["#5"]),
        ("nist_ctc_01_asme1_ct5210_rd-V5R29.stp", ["#5"]),
        ("as1-oc-214.stp", ["plate", "bolt", "as1"]),
        ("box-guid.stp", ["#28"]),
        ("ap242_assembly.p21", ["CHILD", "ROOT"]),
    ],
)
def test_a_real_file_keeps_every_byte_and_every_uuid(
    samples: Path, tmp_path: Path, name: str, choices: list[str], carrier: Carrier
) -> None:
    content = (samples / name).read_bytes()
    parts = [
        wanted(f"550e8400-e29b-41d4-a716-44665544000{n}", part=f"P{n}", choice=choice)
        for n, choice in enumerate(choices)
    ]
    plan = planned(content, *parts, carrier=carrier)
    after = edited(content, plan.edits)
    without = after
    for edit in sorted(plan.edits, key=lambda one: one.offset):
        without = without.replace(edit.text, content[edit.offset : edit.end], 1)
    assert without == content
    assert planned(after, *parts, carrier=carrier).edits == ()
    new = set(uuids(after, tmp_path)) - set(uuids(content, tmp_path))
    assert sorted(one[0] for one in new) == [one.uuid for one in parts]
    assert set(uuids(content, tmp_path)) <= set(uuids(after, tmp_path))


@pytest.mark.parametrize(
    "name", ["NX_Plate_w_Hole_UUIDS_Rev_0.0.stp", "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp"]
)
def test_a_real_shape_that_has_a_uuid_keeps_it(samples: Path, name: str) -> None:
    content = (samples / name).read_bytes()
    choice = "#567" if name.startswith("NX") else "#5"
    with pytest.raises(CollisionError, match="has another UUID there"):
        planned(content, wanted(choice=choice), carrier=Carrier.UUID_ATTRIBUTE)


def test_a_real_signed_file_is_refused(samples: Path) -> None:
    with pytest.raises(Part21Error, match="signed"):
        planned((samples / "ap242_ed3_sections.p21").read_bytes())
