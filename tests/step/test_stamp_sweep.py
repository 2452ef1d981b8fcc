"""The quick look over a file sees what a slow one does, whatever is made to look like a product."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen_step.part21 import Instance, Part21Error, Part21File
from dotpeen_step.stamping.products import Product, products_of
from dotpeen_step.stamping.sweep import KEYWORDS, Needle, Sweep, sweep

from .files import part21

UUID = "550e8400-e29b-41d4-a716-446655440000"
LETTERS = "abcdefab-cdef-4bcd-abcd-efabcdefabcd"
CONTEXT = "(GEOMETRIC_REPRESENTATION_CONTEXT(3)REPRESENTATION_CONTEXT('',''))"
BODIES = [
    "PRODUCT('PN-{n}','','',(#2))",
    "PRODUCT_DEFINITION_FORMATION('A','',#{m})",
    "PRODUCT_DEFINITION('','',#{m},#3)",
    "PRODUCT_DEFINITION_SHAPE('','',#{m})",
    "PRODUCT_DEFINITION_SHAPE('x; #1=PRODUCT_DEFINITION('''','''',#1,#2);','',#{m})",
    "PRODUCT('it''s; PRODUCT(''','','/* */',(#2))",
    "PRODUCT_CONTEXT('',#1,'mechanical')",
    "CARTESIAN_POINT('',(0.,1.,2.))",
    "NOTE('; #7=PRODUCT(''PN-7'','''','''',(#2));')",
    "NOTE('PRODUCT_DEFINITION; PRODUCT(')",
    "NOTE('/*')",
    "product('small','','',(#2))",
    "(A()PRODUCT_DEFINITION('','',#{m},#3)B(#1))",
    "LIST((((((((1))))))))",
    "PRODUCT ( 'PN-{n}' , $ , $ , ( #2 ) ) ",
    CONTEXT,
]
BETWEEN = ["\n", "", "\r\n", " /* #8=PRODUCT('PN-8','','',(#2)); */ ", "/* it's */", "\n\n"]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    text = ""
    for number in range(10, 10 + draw(st.integers(0, 30))):
        body = draw(st.sampled_from(BODIES)).format(n=number, m=draw(st.integers(10, number)))
        text += f"#{number}={body};{draw(st.sampled_from(BETWEEN))}"
    return part21(text)


def seen(content: bytes, *, block: int = 1 << 18, uuids: tuple[str, ...] = (UUID,)) -> Sweep:
    with Part21File.from_bytes(content) as file:
        return sweep(file, uuids, "Dotpeen UUID", block=block)


def stampable(instances: Iterable[Instance]) -> list[Product]:
    return [product for product in products_of(instances) if product.definitions]


@given(files(), st.integers(40, 400))
def test_it_finds_the_products_that_can_be_stamped(content: bytes, block: int) -> None:
    with Part21File.from_bytes(content) as file:
        wanted = [one for one in file.scan() if not KEYWORDS.isdisjoint(one.keywords)]
        # Keywords in small letters, against the standard, are found by a complete pass only.
        expected = stampable(one for one in wanted if b"product(" not in one.raw)
        found = sweep(file, (), "x", block=block).products
        assert stampable(found[offset] for offset in sorted(found)) == expected


@pytest.mark.parametrize("block", [200, 1000, 1 << 18])
def test_a_plain_file_is_not_searched_twice(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"#{n}=CARTESIAN_POINT('',(0.,{n}.,1.));" for n in range(100, 300)]
    lines[50:50] = ["#10=PRODUCT('PN-1','','',(#2));", "#11=PRODUCT_DEFINITION_FORMATION('','',#10);"]
    lines += ["#12=PRODUCT_DEFINITION('','',#11,#3);", f"#13={CONTEXT};"]

    def slow(*_: object) -> None:
        raise AssertionError("searched twice")

    monkeypatch.setattr(Part21File, "find", slow)
    found = seen(part21("\n".join(lines)), block=block)
    assert ([one.id for one in found.products.values()], found.context) == ([10, 11, 12], 13)


@pytest.mark.parametrize("block", [40, 200, 1 << 18])
def test_text_in_strings_is_no_product(block: int) -> None:
    data = (
        "#10=PRODUCT('PN-1','','',(#2));\n#11=PRODUCT_DEFINITION_FORMATION('','',#10);\n"
        "#40=PRODUCT_DEFINITION('','',#11,#3);\n"
        "#30=DESCRIPTIVE('; #12=PRODUCT_DEFINITION(' , ',' , ',#11,$);#31=X(');\n"
    )
    found = seen(part21(data), block=block).products
    assert [one.id for one in found.values()] == [10, 11, 40]


def test_a_uuid_behind_a_very_long_statement_is_counted() -> None:
    long = "0.," * 1_500_000
    content = part21(f"#1=X({long}0.);\n#2=Y({long}'{UUID}');\n#3=PRODUCT('PN-1','','',(#2));\n")
    found = seen(content)
    assert (found.counts[UUID], [one.id for one in found.products.values()]) == (1, [3])


@pytest.mark.parametrize("block", [36, 40, 1 << 16])
def test_a_uuid_over_the_border_of_pieces_of_a_very_long_statement_is_counted_once(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[sweep.__module__], "_LARGEST", 50)
    for before in range(80):
        content = part21(f"#1=X('{'x' * 300}{'y' * before}{UUID}{'z' * 300}{UUID}');")
        assert seen(content, block=block).counts[UUID] == 2


def test_a_file_that_ends_in_a_string_is_refused() -> None:
    cut = part21("#1=X('it is cut off;")
    with pytest.raises(Part21Error, match="a string has no end"):
        seen(cut)


def test_what_refers_to_nothing_belongs_to_nothing() -> None:
    data = "".join(f"#{n}=PRODUCT('','','',());\n" for n in range(1, 2001))
    data += "".join(f"#{n}=PRODUCT_DEFINITION('','',$,$);\n" for n in range(3001, 5001))
    with Part21File.from_bytes(part21(data)) as file:
        products = products_of(file.scan())
    assert len(products) == 2000
    assert not any(one.definitions for one in products)


@pytest.mark.parametrize("text", [UUID, UUID.upper(), UUID[:20].upper() + UUID[20:], f"{{{UUID}}}"])
@pytest.mark.parametrize("block", [1, 7, 36, 37, 1000])
def test_it_counts_uuids_in_small_and_capital_letters(text: str, block: int) -> None:
    content = part21(f"#1=X('{text}');\n#2=Y('{text};{text}', 'Dotpeen UUID', 'dotpeen uuid');\n" * 3)
    assert seen(content, block=block).counts == {UUID: 9, "Dotpeen UUID": 3}


@given(
    st.text("0123456789abcdefABCDEF-; ", max_size=60), st.integers(0, 40), st.sampled_from([UUID, LETTERS])
)
def test_a_needle_is_counted_wherever_it_is(around: str, fresh: int, uuid: str) -> None:
    text = (around + uuid.upper() + around + uuid + around).encode()
    lowered, whole = text.lower(), uuid.encode()
    places = [n for n in range(len(text)) if lowered.startswith(whole, n) and n + len(whole) > fresh]
    assert Needle(uuid).count(text, fresh) == len(places)
