"""Exchange structures: what is in them, as a caller of `Part21File` sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_step.part21 import (
    DERIVED,
    OMITTED,
    Anchor,
    Binary,
    DataSection,
    Enumeration,
    External,
    Instance,
    Part21Error,
    Part21File,
    Reference,
    Resource,
    Typed,
)
from dotpeen_step.part21.names import Names
from dotpeen_step.part21.strings import decode, encode
from step.files import part21


def only(text: str | bytes) -> Instance:
    """The one instance of a data section."""
    with Part21File.from_bytes(part21(text)) as file:
        (instance,) = file.scan()
        return instance


def test_values_have_the_types_of_the_standard() -> None:
    instance = only("#1=A('x',1,-2.5E-3,#7,.MILLI.,$,*,\"0F\",(1,(2,()),3),LENGTH_MEASURE(4.),<a.stp#b>);")
    assert instance.parameters == (
        "x",
        1,
        -0.0025,
        Reference(7),
        Enumeration("MILLI"),
        OMITTED,
        DERIVED,
        Binary("0F"),
        (1, (2, ()), 3),
        Typed("LENGTH_MEASURE", (4.0,)),
        Resource("a.stp#b"),
    )
    assert type(instance.parameters[1]) is int
    assert instance.references() == (7,)


def test_parts_of_a_complex_instance_are_asked_for_by_keyword() -> None:
    instance = only("#5=( LENGTH_UNIT() NAMED_UNIT(*)\n SI_UNIT(.MILLI.,.METRE.) /* ) */ );")
    assert instance.keyword == ""
    assert instance.keywords == ("LENGTH_UNIT", "NAMED_UNIT", "SI_UNIT")
    assert instance.part("SI_UNIT") == (Enumeration("MILLI"), Enumeration("METRE"))
    assert instance.part("LENGTH_UNIT") == ()
    assert instance.part("MASS_UNIT") is None
    assert instance.parameters == ()
    assert only("#5=A(1);").part("A") == (1,)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("cartesian_Point(.true.)", (Enumeration("TRUE"),)),
        ("A(.5,1E5,+3,-.5e-1)", (0.5, 1e5, 3, -0.05)),
        ('A("0a 1\n2")', (Binary("0A12"),)),
        ("A('a\nb\tc\x7f')", ("abc",)),
        ("A\n\v\f(\x01 1 )", (1,)),
        ("A('C:\\Users\\x')", ("C:\\Users\\x",)),
        ("A('\\X2\\00')", ("\\X2\\00",)),
    ],
)
def test_what_writers_do_against_the_standard_is_read_as_it_is_meant(
    written: str, values: tuple[object, ...]
) -> None:
    assert only(f"#1={written};").parameters == values


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"it''s", "it's"),
        (b"a\\\\b", "a\\b"),
        (b"\\X\\E9", "é"),
        (b"\\X2\\03A903B1\\X0\\!", "Ωα!"),
        (b"\\X2\\D83DDE42\\X0\\", "\U0001f642"),
        (b"\\X4\\0001F642\\X0\\", "\U0001f642"),
        (b"\\S\\D", "Ä"),
        (b"\\S\\''", "§"),
        (b"\\PE\\\\S\\*", "Њ"),
        (b"\\PZ\\\\S", "\\PZ\\\\S".replace("\\\\", "\\")),
        ("Müller".encode(), "Müller"),
        ("Müller".encode("latin-1"), "Müller"),
        (b"\\X\\M\\X4\\00\\X0\\", "\\X\\M\\X4\\00\\X0\\"),
        (b"\\N\\a\\F\\b", "ab"),
    ],
)
def test_strings_are_decoded(written: bytes, meant: str) -> None:
    assert decode(written) == meant


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_decodes_to_itself(text: str) -> None:
    written = encode(text)
    assert written.isascii()
    assert decode(written) == text
    assert only(b"#1=A('%s');" % written).parameters == (text,)


@given(text=st.binary())
def test_any_bytes_decode_to_some_text(text: bytes) -> None:
    decode(text).encode("utf-8", "surrogatepass")


def test_the_header_says_what_it_says() -> None:
    text = part21("", level="4;2", name="bore", system="NX", schema="AP242 { 1 0 10303 442 7 1 4 }")
    with Part21File.from_bytes(b"\xef\xbb\xbf" + text, "bore.stp") as file:
        header = file.header
        start, end = header.implementation_level_span or (0, 0)
        assert file.name == "bore.stp"
        assert (b"\xef\xbb\xbf" + text)[start:end] == b"'4;2'"
        assert (header.name, header.originating_system) == ("bore", "NX")
        assert header.schemas == ("AP242 { 1 0 10303 442 7 1 4 }",)
        assert header.author == ("A",)
        assert [entity.keyword for entity in header.entities] == [
            "FILE_DESCRIPTION",
            "FILE_NAME",
            "FILE_SCHEMA",
        ]
        assert (b"\xef\xbb\xbf" + text)[header.start : header.end].startswith(b"HEADER;\nFILE_")
        assert (b"\xef\xbb\xbf" + text)[header.start : header.end].endswith(b"ENDSEC;")


@pytest.mark.parametrize(
    ("level", "edition"),
    [("1", 1), ("2;1", 2), ("3;2", 2), (" 4;1", 3), ("4;2", 3), ("5;1", None), ("", None)],
)
def test_the_edition_follows_from_the_implementation_level(level: str, edition: int | None) -> None:
    with Part21File.from_bytes(part21("", level=level)) as file:
        assert file.header.edition == edition


def test_a_header_that_leaves_things_out_is_read() -> None:
    text = b"ISO-10303-21;HEADER;FILE_SCHEMA('AP214');ENDSEC;END-ISO-10303-21;"
    with Part21File.from_bytes(text) as file:
        assert list(file.scan()) == []
        assert file.header.schemas == ("AP214",)
        assert (file.header.name, file.header.edition, file.header.implementation_level_span) == (
            "",
            None,
            None,
        )
        assert file.data_sections == ()


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_line_ends_are_told_apart(newline: bytes) -> None:
    text = part21("#1=A();\n#2=B();", newline=newline)
    with Part21File.from_bytes(text) as file:
        assert file.newline == newline
        assert [file.line(instance.offset) for instance in file.scan()] == [8, 9]


def test_anchors_and_references_have_places() -> None:
    sections = "ANCHOR;\n<a>=#1{t:'x'}{u:(1,2)};\nENDSEC;\nREFERENCE;\n#9=<b.stp#c>;\n@8=<d>;\nENDSEC;\n"
    text = part21("#1=A(#9);", level="4;1", sections=sections)
    with Part21File.from_bytes(text) as file:
        place, first, second = (text.index(part) for part in (b"<a>", b"#9=", b"@8="))
        (anchor,) = file.anchors
        assert anchor == Anchor("a", Reference(1), place, place + 23, (("t", "x"), ("u", (1, 2))))
        assert list(file.references) == [
            External(9, "#9", "b.stp#c", first, first + 13),
            External(None, "@8", "d", second, second + 7),
        ]
        section = file.anchor_section
        assert section is not None
        assert text[section.start : section.end] == sections.partition("REF")[0].rstrip().encode()
        assert (section.inside, section.closing) == (section.start + 7, section.end - 7)
        assert file.has({1, 8, 9}) == {1, 9}
        assert list(file.fetch({1, 8, 9})) == [1]


def test_data_sections_are_known_before_and_after_a_pass() -> None:
    text = part21("#1=A();\nENDSEC;\nDATA('two',('S','T'));\n#2=A('ENDSEC;');")
    with Part21File.from_bytes(text) as file:
        first, second = file.data_sections
        assert second == DataSection(
            second.start,
            second.start + 22,
            text.rindex(b"ENDSEC;"),
            text.rindex(b"END-") - 1,
            "two",
            ("S", "T"),
        )
        assert text[first.inside : first.closing] == b"\n#1=A();\n"
        list(file.scan())
        assert file.data_sections == (first, second)


def test_names_that_nothing_uses_are_given() -> None:
    with Part21File.from_bytes(part21("#1=A(#1000);\n#0100=B('#10000');")) as file:
        names = file.unused_ids(3)
        assert names == [100000, 100001, 100002]
        with pytest.raises(ValueError, match="1 to 1000000"):
            file.unused_ids(0)


def test_a_file_is_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "part.stp"
    path.write_bytes(part21("".join(f"#{number}=A(#{number + 1});\n" for number in range(1, 5000))))
    with Part21File.open(path) as file:
        one = file.scan()
        assert next(one).id == 1
        assert file.fetch([17, 4999, 5000]).keys() == {17, 4999}
        assert sum(1 for _ in one) == 4998
        assert sum(1 for _ in file.scan()) == 4999
        assert [instance.id for instance in file.fetch(range(1, 6000)).values()] == list(range(1, 5000))
    with pytest.raises(ValueError, match="closed"):
        next(file.scan())


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(
        st.lists(st.integers(0, 60) | st.integers(0, 10**18 - 1), min_size=1, max_size=6),
        min_size=1,
        max_size=12,
    ),
    table=st.integers(1, 64),
)
def test_instance_names_are_remembered_wherever_they_are(calls: list[list[int]], table: int) -> None:
    names = Names(table=table, region=25)
    known: dict[int, int] = {}
    try:
        for place, some in enumerate(calls):
            repeated = [name for index, name in enumerate(some) if name in known or name in some[:index]]
            assert names.add(some, place * 10) is not bool(repeated)
            if repeated:
                assert names.repeated(some, place * 10) == repeated[0]
                return
            known |= dict.fromkeys(some, place * 10)
        assert names.known({*known, 61, 10**19}) == known.keys()
        regions = names.regions({*known, 61})
        for name, place in known.items():
            assert any(
                name in some and begin <= place < (end or 10**9) for (begin, end), some in regions.items()
            )
    finally:
        names.close()


EXPECTED = {
    "NX_Plate_w_Hole_UUIDS_Rev_0.0.stp": (598, 733, 36, 2),
    "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp": (894, 1067, 44, 2),
    "ap242_assembly.p21": (28, 35, 0, 2),
    "ap242_ed3_sections.p21": (2, 0, 0, 3),
    "as1-oc-214.stp": (6425, 7097, 0, 2),
    "box-guid.stp": (187, 283, 0, 2),
    "ce02_root_anchor_valid.p21": (1, 1, 0, 3),
    "complex_instance.p21": (4, 3, 0, 2),
    "nist_ctc_01_asme1_ct5210_rd-V5R29.stp": (5521, 6894, 0, 2),
    "strings.p21": (1, 0, 0, 2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_files_are_read(name: str, samples: Path) -> None:
    instances, references, uuids, edition = EXPECTED[name]
    with Part21File.open(samples / name) as file:
        text = (samples / name).read_bytes()
        sections = file.data_sections
        found = list(file.scan())
        assert len(found) == instances == sum(1 for instance in found if instance.parts)
        assert sum(len(instance.references()) for instance in found) == references
        assert all(text[instance.offset : instance.end] == instance.raw for instance in found)
        assert len(list(file.find(frozenset({"V5_UUID_ATTRIBUTE"})))) == uuids
        assert file.header.edition == edition
        assert file.data_sections == sections
        assert len(file.fetch([instance.id for instance in found])) == instances


def test_a_broken_copy_of_a_real_file_is_located(samples: Path) -> None:
    text = (samples / "as1-oc-214.stp").read_bytes()
    place = text.index(b"#3000 = ")
    broken = text[:place] + text[place:].replace(b",", b";", 1)
    with pytest.raises(Part21Error) as caught, Part21File.from_bytes(broken) as file:
        list(file.scan())
    assert caught.value.byte == place + text[place:].index(b",")
    assert caught.value.line == text[:place].count(b"\n") + 1
