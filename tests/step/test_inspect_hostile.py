"""Small files that are made to take long or to fill the memory: what is found stays as small as they are."""

import io
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from dotpeen_step.inspection import Inspection, inspect
from dotpeen_step.inspection.report import report
from dotpeen_step.inspection.representations import Representations
from dotpeen_step.part21 import Part21File
from dotpeen_step.part21.errors import Part21FileError, Part21LimitError
from dotpeen_step.part21.names import Names
from step.files import AP242_E4, part21

UUID = "0b8c0f3e-6d1c-5e55-9d5a-{:012x}"


def inspected(data: str, **options: str) -> Inspection:
    with Part21File.from_bytes(part21(data, **{"schema": AP242_E4, **options}), "part.stp") as file:
        return inspect(file)


@pytest.mark.timeout(60)
def test_a_chain_of_anchors_is_followed_once() -> None:
    chain = "".join(f"<a{one}>=<#a{one + 1}>;\n" for one in range(20_000))
    uuid = UUID.format(1)
    sections = f"ANCHOR;\n<{uuid}>=<#a0>;\n{chain}<a20000>=#10;\nENDSEC;\n"
    [found] = inspected("#10=PRODUCT('A','','',());", sections=sections, level="4;1").uuids
    assert found.target_ref == 10


def test_each_anchor_of_a_loop_comes_back_to_itself() -> None:
    sections = "ANCHOR;\n<c>=<#a>;\n<a>=<#b>;\n<b>=<#a>;\n<d>=<#c>;\n<e>=<#f>;\n<g>=<#e>;\nENDSEC;\n"
    findings = inspected("#10=PRODUCT('A','','',());", sections=sections, level="4;1").findings
    said = [one.message for one in findings if one.rule in ("anchor-loop", "anchor-dangling")]
    assert said == [
        "the anchor <c> leads to no value: it comes back to <a>",
        "the anchor <a> leads to no value: it comes back to <a>",
        "the anchor <b> leads to no value: it comes back to <b>",
        "the anchor <d> leads to no value: it comes back to <a>",
        "the anchor <e> leads to <#f>, which is no anchor of this file",
        "the anchor <g> leads to <#f>, which is no anchor of this file",
    ]


@pytest.mark.parametrize("other", ["PRODUCT_DEFINITION('','',$,$)", "PRODUCT_DEFINITION_SHAPE('','',$)"])
def test_what_refers_to_nothing_belongs_to_no_product(other: str) -> None:
    data = "".join(f"#{2 * n}=PRODUCT('{n}','','',());#{2 * n + 1}={other};" for n in range(1, 301))
    products = inspected(data).products
    assert len(products) == 300
    assert {(one.definition_ref, one.shape_refs) for one in products} == {(None, ())}


def properties(definitions: int, items: int, *, times: int = 1) -> str:
    listed = ",".join(f"#{100_000 + one}" for one in range(items))
    texts = (
        f"#{100_000 + n}=DESCRIPTIVE_REPRESENTATION_ITEM('uuid','{UUID.format(n)}');" for n in range(items)
    )
    pairs = (
        f"#{1_000 + n}=PROPERTY_DEFINITION('uuid','',#1);"
        + "".join(
            f"#{200_000 + n * times + m}=PROPERTY_DEFINITION_REPRESENTATION(#{1_000 + n},#2);"
            for m in range(times)
        )
        for n in range(definitions)
    )
    return f"#1=PRODUCT('A','','',());#2=REPRESENTATION('',({listed}),$);" + "".join((*texts, *pairs))


def test_a_property_has_a_representation_once() -> None:
    assert len(inspected(properties(1, 50, times=50)).uuids) == 50
    assert len(inspected(properties(3, 2)).uuids) == 6


@pytest.mark.timeout(60)
def test_properties_that_share_too_many_values_are_refused() -> None:
    with pytest.raises(Part21LimitError, match=r"part.stp:\d+: .*#2, so that they have more than 100,000"):
        inspected(properties(1_000, 1_000))


def test_representations_that_go_together_share_their_products() -> None:
    representations = Representations()
    data = "".join(
        f"#{n}=SHAPE_DEFINITION_REPRESENTATION(#{n + 10_000},#{n + 20_000});"
        f"#{n + 30_000}=SHAPE_REPRESENTATION_RELATIONSHIP('','',#{n + 20_000},#{n + 20_001});"
        for n in range(1, 2_001)
    )
    with Part21File.from_bytes(part21(data), "part.stp") as file:
        for instance in file.scan():
            representations.take(instance)
    shown = representations.shown({n + 10_000: n for n in range(1, 2_001)}, ())
    assert len(shown) == 2_001
    assert len({id(products) for products in shown.values()}) == 1
    assert shown[20_001] == set(range(1, 2_001))


@pytest.mark.timeout(60)
def test_many_uuids_of_one_tolerance() -> None:
    data = "#1=PRODUCT('A','','',());#2=FLATNESS_TOLERANCE('f','',$,$);" + "".join(
        f"#{n}=V5_UUID_ATTRIBUTE('{UUID.format(n)}',((#2)));" for n in range(10, 10_010)
    )
    found = inspected(data)
    [tolerance] = found.pmi
    assert len(tolerance.uuids) == 10_000
    assert tolerance.uuids[:2] == (UUID.format(10), UUID.format(11))


@pytest.mark.timeout(60)
def test_a_deep_assembly_is_shown_down_to_some_level() -> None:
    data = "".join(
        f"#{4 * n}=PRODUCT('p{n}','','',());#{4 * n + 1}=PRODUCT_DEFINITION_FORMATION('','',#{4 * n});"
        f"#{4 * n + 2}=PRODUCT_DEFINITION('','',#{4 * n + 1},$);"
        + (f"#{4 * n + 3}=NEXT_ASSEMBLY_USAGE_OCCURRENCE('','','',#{4 * n - 2},#{4 * n + 2},$);" * (n > 1))
        for n in range(1, 3_001)
    )
    out = Console(file=io.StringIO(), width=120)
    report(inspected(data), out, everything=True)
    assert isinstance(out.file, io.StringIO)
    lines = [line.strip() for line in out.file.getvalue().splitlines()]
    assert any(line.endswith("── p50") for line in lines)
    assert not any(line.endswith("── p51") for line in lines)
    assert sum(line.endswith("… 2,950 levels more: --json shows them") for line in lines) == 1


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond a megabyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_names_that_find_no_room_on_disk() -> None:
    names = Names(table=16, file="part.stp")
    starts = range(100, 10_000_000, 50_000)
    with pytest.raises(Part21FileError, match=r"part\.stp: its instance names can't be kept") as told:
        all(names.add(range(start, start + 50_000), start) for start in starts)
    names.close()
    assert "SQLITE_TMPDIR" in (told.value.hint or "")


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "part.stp"
    path.write_bytes(part21("#1=PRODUCT('A','','',());"))
    with Part21File.open(path) as file:
        inspect(file)
        os.utime(path, ns=(1, 1))
        with pytest.raises(Part21FileError, match=r"part.stp: changed while it was read"):
            inspect(file)
