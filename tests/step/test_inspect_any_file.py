"""Whatever a file holds, inspecting it ends: with what is in it, or with an error that names the place."""

import json
import re
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.document import document, json_text
from dotpeen_step.part21 import Part21Error, Part21File
from step.files import AP242_E4, part21

KEYWORDS = (
    "PRODUCT", "PRODUCT_DEFINITION", "PRODUCT_DEFINITION_FORMATION", "PRODUCT_DEFINITION_SHAPE",
    "PRODUCT_RELATED_PRODUCT_CATEGORY", "NEXT_ASSEMBLY_USAGE_OCCURRENCE", "PRODUCT_DEFINITION_RELATIONSHIP",
    "V4_UUID_ATTRIBUTE", "V5_UUID_ATTRIBUTE", "HASH_BASED_V5_UUID_ATTRIBUTE", "UUID_ATTRIBUTE", "GUID_ATTRIBUTE",
    "AGGREGATE_GUID_ATTRIBUTE", "GUID_NAMESPACE", "ID_ATTRIBUTE", "APPLIED_EXTERNAL_IDENTIFICATION_ASSIGNMENT",
    "GENERAL_PROPERTY", "GENERAL_PROPERTY_ASSOCIATION", "PROPERTY_DEFINITION", "REPRESENTATION",
    "PROPERTY_DEFINITION_REPRESENTATION", "DESCRIPTIVE_REPRESENTATION_ITEM", "SHAPE_DEFINITION_REPRESENTATION",
    "SHAPE_REPRESENTATION_RELATIONSHIP", "GEOMETRIC_ITEM_SPECIFIC_USAGE", "SHAPE_ASPECT", "DIMENSIONAL_SIZE",
    "FLATNESS_TOLERANCE", "DATUM", "ADVANCED_FACE", "CLOSED_SHELL", "MANIFOLD_SOLID_BREP", "FACE_BOUND", "EDGE_LOOP",
)  # fmt: skip
UUID = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
LEAVES = st.one_of(
    st.integers(1, 12).map(lambda ref: f"#{ref}"),
    st.sampled_from(
        ["$", "*", ".T.", "1.5", "7", '"0F"', "''", "'UUID'", "'document'", "'x''y'", r"'\X2\00E9\X0\'"]
    ),
    st.sampled_from([UUID, UUID.upper(), f" {UUID}", f"{{{UUID}}}", UUID.replace("-", ""), UUID[:-1]]).map(
        lambda text: f"'{text}'"
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(["", "UUID_SET_ITEM", "LABEL"]), st.lists(inner, max_size=3).map(",".join)
    ).map(lambda found: f"{found[0]}({found[1]})"),
    max_leaves=6,
)
PARTS = st.tuples(st.sampled_from(KEYWORDS), st.lists(VALUES, max_size=5).map(",".join)).map(
    lambda found: f"{found[0]}({found[1]})"
)
INSTANCES = st.one_of(PARTS, st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: f"({''.join(parts)})"))
ANCHORS = st.lists(
    st.tuples(
        st.sampled_from([UUID, UUID.upper(), f"urn:uuid:{UUID}", "a", "b", "c"]),
        st.sampled_from(["#1", "#99", "<a>", "<b>", "<#c>", "<x.stp#y>", "$", "(#1,#2)", "'t'"]),
    ),
    max_size=5,
    unique_by=lambda anchor: anchor[0],
)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def text_of(instances: list[str], anchors: list[tuple[str, str]], level: str = "4;1") -> bytes:
    data = "".join(f"#{ref}={instance};\n" for ref, instance in zip(count(1), instances, strict=False))
    named = "".join(f"<{name}>={value};\n" for name, value in anchors)
    sections = f"ANCHOR;\n{named}ENDSEC;\n" if anchors else ""
    return part21(data, schema=AP242_E4, level=level, sections=sections)


@QUICK
@given(instances=st.lists(INSTANCES, max_size=12), anchors=ANCHORS)
def test_any_instances_are_inspected(instances: list[str], anchors: list[tuple[str, str]]) -> None:
    text = text_of(instances, anchors)
    with Part21File.from_bytes(text) as file:
        found = inspect(file)
    for one in found.uuids:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one.uuid)
        assert text[one.offset : one.offset + 1] in (b"#", b"<")
        assert (one.target_ref is not None and one.target_ref <= len(instances)) or not one.target_keyword
    products = {product.product_ref for product in found.products}
    assert {one.product_ref for one in found.uuids} <= products | {None}
    for finding in found.findings:
        assert 0 <= finding.byte < len(text)
        assert finding.line == text[: finding.byte].count(b"\n") + 1
        assert finding.hint
    assert json.loads("".join(json_text(found))) == json.loads(json.dumps(document(found)))


@QUICK
@given(
    instances=st.lists(INSTANCES, max_size=6),
    anchors=ANCHORS,
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    end=st.integers(0, 10_000),
)
def test_a_damaged_file_is_inspected_or_an_error(
    instances: list[str], anchors: list[tuple[str, str]], changes: list[tuple[int, int]], end: int
) -> None:
    text = bytearray(text_of(instances, anchors))
    for place, byte in changes:
        text[place % len(text)] = byte
    del text[end:]
    error = _error(bytes(text))
    assert error is None or error.byte is None or 0 <= error.byte <= len(text)


def _error(text: bytes) -> Part21Error | None:
    try:
        with Part21File.from_bytes(text) as file:
            inspect(file)
    except Part21Error as error:
        return error
    return None
