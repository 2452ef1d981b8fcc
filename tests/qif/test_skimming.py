"""Measurements that are recognized by what they look like say the same as when the parser reports them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_qif.importing.alike import Alike
from dotpeen_qif.importing.measured import Context, row_of, unusual
from dotpeen_qif.importing.staging import Source
from dotpeen_qif.limits import Limits, QifDocumentError, QifLimitError
from dotpeen_qif.model import Document
from dotpeen_qif.reading import read_document
from dotpeen_qif.reading.shapes import learn_shape
from dotpeen_qif.validate import validate

from .documents import Doc, Item, Measured, uuid

NAMESPACE = "http://qifstandards.org/xsd/qif3"
COMMENT = "<!-- no shape -->"
ITEMS = [Item("Bore"), Item("Länge"), Item("Depth")]


def a_document(lists: list[list[str]]) -> str:
    """A document with these measurements, in as many sets of results."""
    text = Doc("made", ITEMS, results=[Measured(0, "10.1")]).text
    begin, end = text.index('<MeasurementResults id="151">'), text.index("</MeasurementResultsSet>")
    sets = "".join(
        f'<MeasurementResults id="{9000 + place}"><InspectionTraceability><InspectionOperator><Name>Op {place}</Name>'
        "</InspectionOperator></InspectionTraceability><MeasuredCharacteristics>"
        f'<CharacteristicMeasurements n="{len(parts)}">{"".join(parts)}</CharacteristicMeasurements>'
        '</MeasuredCharacteristics><ActualComponentIds n="1"><Id>150</Id></ActualComponentIds></MeasurementResults>'
        for place, parts in enumerate(lists)
    )
    return text[:begin] + sets + text[end:]


def with_comments(text: str) -> str:
    """The same document, with a comment in every measurement: it has no shape then, and the parser reads it."""
    return re.sub(r"(<(?:\w+:)?\w+Measurement\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>)", rf"\1{COMMENT}", text)


def said(folder: Path, text: str | bytes) -> object:
    """All that is read of a document, and all that is found in it."""
    file = folder / "made.qif"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        document = read_document(file)
        read: object = [(one.line, one.operator, list(one.measurements)) for one in document.results]
    except QifDocumentError as error:
        read = str(error)
    return read, validate(file).findings


words = st.one_of(
    st.sampled_from(
        [
            *(
                "PASS",
                "FAIL",
                "70",
                "71",
                "72",
                "9",
                "150",
                "070",
                "0",
                "10.1",
                "10.10",
                "-0",
                "+3",
                "1e3",
                "nan",
            ),
            *(
                "0.0000001",
                "12345678901234567890",
                "٣",
                "1_0",
                " 10.2 ",
                "",
                " ",
                "a  b",
                "Mül\u00adler",
                "日本",
            ),
            *(
                "\ufffd",
                "\uff21",
                "&amp;",
                "&#65;",
                "<![CDATA[10.3]]>",
                "10<!-- -->.4",
                "a\\b",
                "'",
                '"',
                "\t",
                "x\ny",
            ),
            *(
                "2026-03-01T08:00:00Z",
                "2026-03-01T08:00:00",
                "2026-02-30T08:00:00Z",
                "2026-03-01T08:00:00.5+01:00",
            ),
            *(uuid("a"), uuid("b"), uuid("a").upper(), f"{{{uuid('c')}}}", "\\N", "\r\n", "\r"),
        ]
    ),
    st.decimals(-99, 99, places=3).map(str),
    st.uuids().map(str),
)
statuses = st.sampled_from(["PASS", "FAIL", "FAIL", "NOT_CALCULATED", "&lt;", ""])
calm_moments = st.datetimes().map(lambda at: f"{at.isoformat()}Z")
calm_numbers = st.decimals(-99, 99, places=3).map(str)
blanks = st.sampled_from(["", "", "", "\n", "\r\n", "\r", "  ", "\n\t "])


@st.composite
def shapes(draw: st.DrawFn) -> Callable[[st.DrawFn], str]:
    """What makes measurements that look alike, most of the time."""
    kind = draw(st.sampled_from(["Length", "Length", "Diameter", "UserDefinedAttribute", "q:Length"]))
    blank = draw(blanks)
    parts = draw(st.lists(st.sampled_from(["named", "at", "device", "id", "who", "other"]), unique=True))
    unit = draw(st.sampled_from(["", "", ' linearUnit="mm"', ' linearUnit="furlong"', " linearUnit='mm'"]))
    item = draw(st.sampled_from(["", "", "", ' xId="4"', ' xmlns="urn:other"']))
    count = draw(st.sampled_from(["", ' n="1"', ' n="7"']))
    wild = draw(st.booleans())
    if not wild:
        # What can be understood: what is wrong ends the reading.
        kind, unit, item, count = "Length", "", "", ""

    def measurement(draw: st.DrawFn) -> str:
        def said_as(calm: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> str:
            return draw(calm | other if wild else calm)

        status = said_as(st.sampled_from(["PASS", "FAIL"]), statuses)
        inner = [f"<Status><CharacteristicStatusEnum>{status}</CharacteristicStatusEnum></Status>"]
        if "named" in parts:
            known = said_as(st.uuids().map(str), words)
            own = f'<AttributeQPId name="persistentUuid"><Value>{known}</Value></AttributeQPId>'
            who = (
                f'<AttributeStr name="operator" value="B-{draw(st.integers(1, 3))}"/>'
                if "who" in parts
                else ""
            )
            inner.insert(0, f"<Attributes{count}>{blank}{own}{who}</Attributes>")
        key = said_as(st.sampled_from(["70", "71", "72"]), st.sampled_from(["8", "150", "x"]))
        inner.append(f"<CharacteristicItemId{item}>{key}</CharacteristicItemId>")
        if "at" in parts:
            inner.append(f"<TimeStamp>{said_as(calm_moments, words)}</TimeStamp>")
        if "other" in parts:
            inner.append(f'<o:More xmlns:o="urn:other">{draw(words)}</o:More>')
        actual = said_as(st.just("150"), st.sampled_from(["70", "3"]))
        inner.append(f"<ActualComponentId>{actual}</ActualComponentId>")
        inner.append(f"<Value{unit}>{said_as(calm_numbers, words)}</Value>")
        number = f' id="{draw(st.integers(200, 300))}"' if "id" in parts else ""
        space = ' xmlns:q="http://qifstandards.org/xsd/qif3"' if ":" in kind else ""
        name = f"{kind}CharacteristicMeasurement"
        return f"<{name}{number}{space}>{blank}{blank.join(inner)}{blank}</{name}>{blank}"

    return measurement


@st.composite
def documents(draw: st.DrawFn) -> str:
    made = draw(st.lists(shapes(), min_size=1, max_size=3))
    lists = st.lists(st.sampled_from(made), max_size=6)
    return a_document([[one(draw) for one in draw(lists)] for _ in range(draw(st.integers(1, 3)))])


@settings(max_examples=50, deadline=None)
@given(documents())
def test_any_measurements_are_read_and_checked_as_the_parser_does(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert said(Path(name), text) == said(Path(name), with_comments(text))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(documents())
def test_many_more_measurements_are_read_and_checked_as_the_parser_does(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert said(Path(name), text) == said(Path(name), with_comments(text))


def context_of(document: Document) -> Context:
    source = Source(0, "made.qif", b"", document)
    for plan in document.plans:
        for one in plan.characteristics:
            source.characteristics[one.key] = (one.kind, one.uuid or "", one.unit)
    return Context(source, {document.qpid: source}, {})


@settings(max_examples=50, deadline=None)
@given(documents())
def test_any_row_made_of_texts_is_that_of_the_model(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "made.qif"
        file.write_bytes(text.encode())
        try:
            document = read_document(file)
            context = context_of(document)
            for results in document.results:
                for one in results.skimmed or ():
                    if not isinstance(one, tuple):
                        continue
                    sample, values, line = one
                    alike = Alike(context, sample)
                    row = alike.row(values, results.operator) if alike.usable else None
                    if row is not None:
                        model = sample.model(values, line)
                        assert row == row_of(context, model, results.operator)
                        assert not unusual(context, model)
        except QifDocumentError:
            pass  # what can't be read is for the tests above


def plain(count: int) -> list[str]:
    return [
        f'<LengthCharacteristicMeasurement id="{200 + place}"><Status><CharacteristicStatusEnum>PASS'
        "</CharacteristicStatusEnum></Status><CharacteristicItemId>70</CharacteristicItemId>"
        f"<ActualComponentId>150</ActualComponentId><Value>10.{place}</Value></LengthCharacteristicMeasurement>\n"
        for place in range(count)
    ]


def test_all_but_the_first_of_many_measurements_are_recognized(tmp_path: Path) -> None:
    file = tmp_path / "made.qif"
    file.write_text(a_document([plain(900), plain(600)]), encoding="utf-8")

    found = [one for results in read_document(file).results for one in results.skimmed or ()]

    assert len(found) == 1500
    assert sum(not isinstance(one, tuple) for one in found) == 1


def test_what_is_recognized_counts_among_the_elements(tmp_path: Path) -> None:
    file = tmp_path / "made.qif"
    file.write_text(a_document([plain(900)]), encoding="utf-8")
    limits = Limits(elements=5000)

    document = read_document(file, limits=limits)
    with pytest.raises(QifLimitError, match="more than 5,000 elements"):
        [list(results.measurements) for results in document.results]
    assert any("more than 5,000 elements" in one.message for one in validate(file, limits=limits).errors)


@pytest.mark.parametrize(
    "part",
    [
        "<M>a &amp; b</M>",
        "<M><A>1</A> text <A>2</A></M>",
        "<M><![CDATA[1]]></M>",
        "<M><!-- 1 --></M>",
        "<M><q:A>1</q:A></M>",
        '<M><A xmlns="urn:other">1</A></M>',
        "<M><A id='1'/></M>",
        "<M>\r<A>1</A></M>",
        "<M><A>\xef\xbf\xbe</A></M>",
        "<M><A>1</B></M>",
        "<M><A>1</A>",
    ],
)
def test_an_element_that_could_mean_something_else_has_no_shape(part: str) -> None:
    assert learn_shape(part, NAMESPACE) is None


def test_text_of_another_encoding_is_the_parsers(tmp_path: Path) -> None:
    file = tmp_path / "made.qif"
    parts = [one.replace("PASS", "PASSÉ") for one in plain(9)]
    text = a_document([parts]).replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')
    file.write_bytes(text.encode("latin-1"))

    read = [one.status for results in read_document(file).results for one in results.measurements]

    assert read == ["PASSÉ"] * 9


def test_bytes_that_are_no_text_are_refused_where_they_are(tmp_path: Path) -> None:
    parts = plain(9)
    broken = a_document([parts]).replace("10.5", "10.§").encode().replace("§".encode(), b"\xc3")

    read, _ = said(tmp_path, broken)  # type: ignore[misc]

    assert "not well-formed" in read
