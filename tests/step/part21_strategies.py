"""Strategies for exchange structures in all forms of the syntax, with what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from dotpeen_step.part21 import (
    DERIVED,
    OMITTED,
    Binary,
    Enumeration,
    OccurrenceName,
    Reference,
    Resource,
    Typed,
    Value,
)

HARD = [
    "'",
    "''",
    ";",
    "(",
    ")",
    "/*",
    "*/",
    "#5=A();",
    "\\",
    "\\X2\\",
    "ENDSEC;",
    "=",
    "<",
    '"',
    "\\S\\",
    ",$",
]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in (*range(32), 127)])
TEXTS = st.lists(st.one_of(st.sampled_from(HARD), st.text(CHARACTERS, max_size=4)), max_size=5).map("".join)
KEYWORDS = st.from_regex(r"\A!?[A-Z_][A-Z0-9_]{0,12}\Z", alphabet=st.characters(codec="ascii"))
NUMBERS = st.integers(0, 10**18 - 1) | st.integers(0, 400)


@dataclass(frozen=True)
class Written:
    """An instance as it was written: `parts` with `simple`, or those of a complex one."""

    id: int
    text: bytes
    parts: tuple[Typed, ...]
    simple: bool
    references: tuple[int, ...]


@dataclass
class Structure:
    """A file and what is to be found in it."""

    text: bytes = b""
    instances: list[tuple[int, Written]] = field(default_factory=list)
    anchors: list[tuple[str, Value, tuple[tuple[str, Value], ...]]] = field(default_factory=list)
    externals: list[tuple[str, str]] = field(default_factory=list)
    sections: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def escaped(draw: st.DrawFn, text: str) -> bytes:
    """Write a string in one of the ways that ISO 10303-21 has for each character."""
    return b"".join(_character(draw, character) for character in text)


def _character(draw: st.DrawFn, character: str) -> bytes:
    code = ord(character)
    ways = [b"\\X4\\%08X\\X0\\" % code]
    if code < 0x10000:
        ways.append(b"\\X2\\%04X\\X0\\" % code)
    if code < 0x100:
        ways.append(b"\\X\\%02X" % code)
    if 0xA0 <= code < 0xFF and character not in "§Ü":  # as an apostrophe, and as a reverse solidus
        ways.append(b"\\S\\%c" % (code - 128))
        ways.append(b"\\PA\\\\S\\%c" % (code - 128))
    if code > 127:
        ways.append(character.encode())
    elif character in "'\\":
        ways = [character.encode() * 2]
    else:
        ways = [character.encode()]
    written = draw(st.sampled_from(ways))
    return written + draw(st.sampled_from([b"", b"", b"", b"", b"\n", b"\r\n", b"\\N\\"]))


BLANKS = st.sampled_from(
    [
        *[b""] * 4,
        *[b" ", b"\n", b"\r\n", b"\r", b"  \t ", b"\x0c", b"\\N\\"],
        *[b"/**/", b" /* ' */ ", b"/* #1=A(); **/", b"/*\n * ENDSEC; \n */", b'/* < " */'],
    ]
)


def _real(draw: st.DrawFn) -> tuple[float, bytes]:
    text = draw(
        st.from_regex(
            r"\A[+-]?[0-9]{1,9}\.[0-9]{0,9}(E[+-]?[0-9]{1,2})?\Z", alphabet=st.characters(codec="ascii")
        )
    )
    return float(text), text.encode()


@st.composite
def atoms(draw: st.DrawFn, *, edition: int = 3) -> tuple[Value, bytes, tuple[int, ...]]:
    """A parameter that is no list: its value, text, and the names it refers to."""
    kind = draw(
        st.sampled_from(
            ["string", "real", "integer", "name", "enumeration", "absent", "binary"]
            + ["resource", "other"] * (edition > 2)
        )
    )
    if kind == "string":
        text = draw(TEXTS)
        return text, b"'" + escaped(draw, text) + b"'", ()
    if kind == "real":
        return *_real(draw), ()
    if kind == "integer":
        number = draw(st.integers(-(10**20), 10**20))
        return number, draw(st.sampled_from([b"", b"+"] if number >= 0 else [b""])) + b"%d" % number, ()
    if kind == "name":
        number = draw(NUMBERS)
        return Reference(number), b"#" + b"0" * draw(st.integers(0, 2)) + b"%d" % number, (number,)
    if kind == "enumeration":
        name = draw(st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,9}\Z", alphabet=st.characters(codec="ascii")))
        return Enumeration(name), b".%s." % name.encode(), ()
    if kind == "absent":
        return draw(st.sampled_from([(OMITTED, b"$", ()), (DERIVED, b"*", ())]))
    if kind == "binary":
        digits = draw(st.from_regex(r"\A[0-3][0-9A-F]{0,9}\Z", alphabet=st.characters(codec="ascii")))
        return Binary(digits), b'"%s"' % digits.encode(), ()
    if kind == "resource":
        uri = draw(
            st.sampled_from(
                ["a.stp#b", "#x", "http://h/p;q=(1)?'#7=A('", "f47ac10b-58cc-4372-a567-0e02b2c3d479"]
            )
        )
        return Resource(uri), b"<%s>" % uri.encode(), ()
    name = draw(st.sampled_from(["@12", "#PI", "@E"]))
    return OccurrenceName(name), name.encode(), ()


@st.composite
def items(draw: st.DrawFn, *, edition: int = 3, depth: int = 3) -> tuple[Value, bytes, tuple[int, ...]]:
    """Any parameter: its value, text, and the names it refers to."""
    kind = draw(st.sampled_from(["atom"] * 4 + ["list", "typed"] * (depth > 0)))
    if kind == "atom":
        return draw(atoms(edition=edition))
    values, text, references = draw(parameter_lists(edition=edition, depth=depth - 1))
    if kind == "list":
        return values, text, references
    keyword = draw(KEYWORDS)
    return Typed(keyword, values), keyword.encode() + draw(BLANKS) + text, references


@st.composite
def parameter_lists(
    draw: st.DrawFn, *, edition: int = 3, depth: int = 3
) -> tuple[tuple[Value, ...], bytes, tuple[int, ...]]:
    """A parenthesised list: its values, text, and the names it refers to."""
    listed = draw(st.lists(items(edition=edition, depth=depth), max_size=3))
    inside = b",".join(draw(BLANKS) + text + draw(BLANKS) for _, text, _ in listed)
    levels = draw(st.sampled_from([0] * 12 + [7, 40])) if depth == 3 else 0
    values = tuple(value for value, _, _ in listed)
    text = b"(%s%s)" % (inside, draw(BLANKS))
    for _ in range(levels):
        values, text = (values,), b"(%s)" % text
    return values, text, tuple(number for _, _, some in listed for number in some)


@st.composite
def parts(draw: st.DrawFn, *, edition: int = 3) -> tuple[Typed, bytes, tuple[int, ...]]:
    """A keyword with its parameters."""
    keyword = draw(KEYWORDS.filter(lambda text: text not in ("ENDSEC",)))
    values, text, references = draw(parameter_lists(edition=edition))
    return Typed(keyword, values), keyword.encode() + draw(BLANKS) + text + draw(BLANKS), references


@st.composite
def instances(draw: st.DrawFn, number: int, *, edition: int = 3) -> Written:
    """An entity instance, without blanks before it."""
    simple = draw(st.sampled_from([True, True, False]))
    listed = [draw(parts(edition=edition)) for _ in range(1 if simple else draw(st.integers(1, 3)))]
    body = b"".join(text for _, text, _ in listed)
    if not simple:
        body = b"(" + draw(BLANKS) + body + b")" + draw(BLANKS)
    name = b"#" + b"0" * draw(st.sampled_from([0, 0, 0, 1, 3])) + b"%d" % number
    return Written(
        number,
        name + draw(BLANKS) + b"=" + draw(BLANKS) + body + b";",
        tuple(part for part, _, _ in listed),
        simple,
        tuple(number for _, _, some in listed for number in some),
    )


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """A whole file of one of the three editions."""
    edition = draw(st.sampled_from([1, 2, 3]))
    level = {1: b"1", 2: draw(st.sampled_from([b"2;1", b"3;1"])), 3: b"4;1"}[edition]
    structure = Structure()
    gap = b"\n" if draw(st.booleans()) else b""
    text = (
        draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"/* made */"]))
        + b"ISO-10303-21;"
        + gap
        + b"HEADER;"
        + draw(BLANKS)
    )
    text += b"FILE_DESCRIPTION((''),'%s');FILE_NAME('','',(''),(''),'','','');FILE_SCHEMA(('S'));" % level
    text += (
        draw(st.sampled_from([b"", b"!OURS(1,#2);", b"SECTION_LANGUAGE($,'en');"]))
        + draw(BLANKS)
        + b"ENDSEC;"
    )
    if edition == 3:
        text += _anchors(draw, structure) + _externals(draw, structure)
    numbers = iter(draw(st.lists(NUMBERS, unique=True, max_size=6)))
    for place in range(draw(st.integers(1, 3)) if edition == 3 else 1):
        text += gap + _opening(draw, structure, place, several=edition == 3)
        for number in [number for number, _ in zip(numbers, range(3), strict=False)]:
            if f"#{number}" in [name for name, _ in structure.externals]:
                continue
            written = draw(instances(number, edition=edition))
            text += gap + draw(BLANKS)
            structure.instances.append((len(text), written))
            text += written.text + draw(BLANKS)
        text += gap + b"ENDSEC" + draw(BLANKS) + b";"
    text += draw(BLANKS) + b"END-ISO-10303-21;"
    if edition == 3:
        text += draw(
            st.sampled_from([b"", b"\nSIGNATURE;\nMFo/GC=\nENDSEC;\n", b"\nSIGNATURE MFo/*GC= ENDSEC;"])
        )
    structure.text = text + draw(st.sampled_from([b"", b"\n", b"\r\n", b"\x00\x1a", b"\n\xef\xbb\xbf"]))
    return structure


def _opening(draw: st.DrawFn, structure: Structure, place: int, *, several: bool) -> bytes:
    if several and draw(st.booleans()):
        structure.sections.append((f"s{place}", ("S", "T")))
        return b"DATA" + draw(BLANKS) + b"('s%d',%s('S','T'));" % (place, draw(BLANKS))
    structure.sections.append(("", ()))
    return b"DATA" + draw(BLANKS) + b";"


def _anchors(draw: st.DrawFn, structure: Structure) -> bytes:
    if draw(st.booleans()):
        return b""
    text = b"ANCHOR;"
    for place in range(draw(st.integers(0, 3))):
        value, written, _ = draw(items(depth=2))
        tags = tuple((f"t{number}", draw(atoms())) for number in range(draw(st.integers(0, 2))))
        name = f"anchor-{place}"
        text += (
            draw(BLANKS)
            + b"<%s>" % name.encode()
            + draw(BLANKS)
            + b"="
            + draw(BLANKS)
            + written
            + draw(BLANKS)
        )
        for tag, (_, tagged, _) in tags:
            text += b"{%s%s:%s%s%s}" % (
                tag.encode(),
                draw(BLANKS),
                draw(BLANKS),
                tagged,
                draw(BLANKS),
            ) + draw(BLANKS)
        text += b";"
        structure.anchors.append((name, value, tuple((tag, of[0]) for tag, of in tags)))
    return text + draw(BLANKS) + b"ENDSEC;"


def _externals(draw: st.DrawFn, structure: Structure) -> bytes:
    if draw(st.booleans()):
        return b""
    text = b"REFERENCE;"
    for number in draw(st.lists(st.integers(500, 600), unique=True, max_size=3)):
        name = draw(st.sampled_from([f"#{number}", f"@{number}"]))
        text += (
            draw(BLANKS)
            + name.encode()
            + draw(BLANKS)
            + b"="
            + draw(BLANKS)
            + b"<x.stp#%d>" % number
            + draw(BLANKS)
            + b";"
        )
        structure.externals.append((name, f"x.stp#{number}"))
    return text + b"ENDSEC;"
