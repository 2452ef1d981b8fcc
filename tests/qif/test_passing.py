"""The first read of a document passes over its measurements: what it finds is what parsing them would find."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_qif.limits import DEFAULT_LIMITS, QifDocumentError
from dotpeen_qif.reading import document, read_document, xml

from .test_skimming import a_document

NAMESPACE = "http://qifstandards.org/xsd/qif3"
PART = '<LengthCharacteristicMeasurement id="{}">{}</LengthCharacteristicMeasurement>'
INNER = (
    "<Status><CharacteristicStatusEnum>PASS</CharacteristicStatusEnum></Status>"
    "<CharacteristicItemId>70</CharacteristicItemId><Value>10.1</Value>"
)
DECEIVING = (
    "<!-- </CharacteristicMeasurements> -->",
    "<![CDATA[</CharacteristicMeasurements>]]>",
    "<?note </CharacteristicMeasurements>?>",
    '<CharacteristicMeasurements xmlns="urn:other"><A/></CharacteristicMeasurements>',
    "<q:CharacteristicMeasurements xmlns:q='urn:other'></q:CharacteristicMeasurements>",
)
BETWEEN = ("", "\n", "\r\n", "\r", " \n\n ")


def found(file: Path, *, passing: bool) -> Any:
    """What is read of a document, its measurements included."""
    read = document._read(file, DEFAULT_LIMITS, passing=passing)
    results = [
        (one.line, one.uuid, one.operator, one.actuals, list(one.measurements)) for one in read.results
    ]
    return replace(read, results=()), results


@pytest.fixture(params=[1, 7, 64, 1000, 64 * 1024])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that are read at once."""
    monkeypatch.setattr(xml, "_CHUNK", request.param)
    return int(request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("between", BETWEEN)
def test_lists_are_passed_over_wherever_the_pieces_of_the_file_end(tmp_path: Path, between: str) -> None:
    file = tmp_path / "made.qif"
    lists = [[f"{between}{PART.format(place * 100 + n, INNER)}" for n in range(10)] for place in range(4)]
    file.write_bytes(a_document([*lists, []]).encode())

    assert found(file, passing=True) == found(file, passing=False)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("deceiving", DECEIVING)
def test_what_hides_the_end_of_a_list_is_parsed(tmp_path: Path, deceiving: str) -> None:
    file = tmp_path / "made.qif"
    parts = [
        PART.format(1, INNER),
        PART.format(2, f"{INNER}<Notes>{deceiving}</Notes>"),
        PART.format(3, INNER),
    ]
    file.write_text(a_document([parts, parts]), encoding="utf-8")

    whole = found(file, passing=False)

    assert [len(one[-1]) for one in whole[1]] == [3, 3]
    read = read_document(file)
    assert [list(one.measurements) for one in read.results] == [one[-1] for one in whole[1]]


@pytest.mark.parametrize("ending", ["</CharacteristicMeasurements >", "</CharacteristicMeasurements\n>"])
def test_blanks_in_the_end_of_a_list_are_no_matter(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "made.qif"
    text = a_document([[PART.format(1, INNER)], [PART.format(2, INNER)]])
    file.write_text(text.replace("</CharacteristicMeasurements>", ending), encoding="utf-8")

    assert found(file, passing=True) == found(file, passing=False)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*DECEIVING, PART.format(5, INNER), "<", "</", ">", '"', "&", "text", "\n"]),
        max_size=8,
    ),
    st.sampled_from([3, 50, 64 * 1024]),
)
def test_whatever_is_in_a_list_the_answer_is_that_of_the_parser(pieces: list[str], size: int) -> None:
    before = xml._CHUNK
    xml._CHUNK = size  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "made.qif"
            file.write_text(a_document([[PART.format(1, INNER), *pieces], [PART.format(9, INNER)]]), "utf-8")
            assert answer(lambda: _taken(file)) == answer(lambda: found(file, passing=False)[1])
    finally:
        xml._CHUNK = before  # type: ignore[misc]


def _taken(file: Path) -> Any:
    read = read_document(file)
    return [(one.line, one.uuid, one.operator, one.actuals, list(one.measurements)) for one in read.results]


def answer(read: Callable[[], Any]) -> Any:
    """What a reading gives, or the error that it ends with."""
    try:
        return read()
    except QifDocumentError as error:
        return type(error)


@pytest.mark.parametrize("filling", ["x", " ", 'x="y" '])
def test_a_measurement_without_an_end_is_refused_at_once(tmp_path: Path, filling: str) -> None:
    file = tmp_path / "made.qif"
    text = a_document([[PART.format(1, INNER)]])
    begin = text.index("<Value>") + len("<Value" if "=" in filling else "<Value>")
    file.write_text(text[:begin] + " " + filling * (40_000_000 // len(filling)), encoding="utf-8")

    started = time.perf_counter()
    with pytest.raises(QifDocumentError):
        read_document(file)
    assert time.perf_counter() - started < 10
