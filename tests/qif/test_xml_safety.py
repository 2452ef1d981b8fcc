"""Files that are made to harm whoever reads them, or that broke on their way: refused quickly, or read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dotpeen_qif.limits import Limits, QifDocumentError, QifFileError, QifLimitError
from dotpeen_qif.reading import read_document
from dotpeen_qif.reading.xml import read_chunks
from dotpeen_qif.validate import validate
from qif_documents import OPENED, WHOLE, Endless, billion_laughs, quadratic_blowup

MIB = 1024 * 1024


@contextmanager
def quickly(seconds: float = 2.0) -> Iterator[None]:
    """Fail when it takes longer; what is refused takes some milliseconds."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


def refusal(folder: Path, content: bytes | str) -> QifDocumentError:
    """Return the error that reading the content ends with; validation has to say the same."""
    file = folder / "made.qif"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with quickly(), pytest.raises(QifDocumentError) as raised:
        read_document(file)
    with quickly():
        report = validate(file)
    assert not report.ok
    assert [(one.check, one.line) for one in report.findings][-1:] == [("xml", raised.value.line)]
    return raised.value


@pytest.mark.parametrize(
    "content",
    [
        billion_laughs(),
        quadratic_blowup(),
        f'<!DOCTYPE QIFDocument [<!ENTITY x SYSTEM "file:///etc/passwd">]>{OPENED}<QPId>&x;</QPId></QIFDocument>',
        f'<!DOCTYPE QIFDocument SYSTEM "http://127.0.0.1:9/evil.dtd">{OPENED}</QIFDocument>',
        f'<!DOCTYPE QIFDocument PUBLIC "-//X" "http://127.0.0.1:9/evil.dtd" []>{OPENED}</QIFDocument>',
        f'<!DOCTYPE QIFDocument [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>{OPENED}</QIFDocument>',
        f"<!DOCTYPE QIFDocument>{OPENED}</QIFDocument>",
        f"<!DOCTYPE QIFDocument [<!ENTITY x 'y'>]>{OPENED}</QIFDocument>".encode("utf-16"),
    ],
    ids=["laughs", "quadratic", "file", "external", "public", "parameter", "empty", "utf-16"],
)
def test_a_document_type_is_refused_where_it_begins(tmp_path: Path, content: bytes | str) -> None:
    error = refusal(tmp_path, content)
    assert (error.line, error.reason) == (
        1,
        "a document type declaration (DOCTYPE) is not accepted, nor are entities",
    )
    assert error.hint == "remove it; QIF documents have none"


def test_entities_without_a_document_type_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{OPENED}\n<QPId>&mdash;</QPId></QIFDocument>")
    assert (error.line, error.reason) == (2, "an entity is referred to; there are none in QIF")


def test_the_five_characters_that_xml_names_are_read(tmp_path: Path) -> None:
    file = tmp_path / "made.qif"
    file.write_text(WHOLE.replace("Gauge room", "&lt;A &amp; B&gt; &quot;&apos;&#x263a;"))
    traceability = read_document(file).traceability
    assert traceability is not None
    assert traceability.inspector == "<A & B> \"'☺"


@pytest.mark.parametrize("inside", ["", "<Product>", "<Characteristics><CharacteristicItems><LengthItem>"])
def test_deep_nesting_is_refused(tmp_path: Path, inside: str) -> None:
    error = refusal(tmp_path, f"{OPENED}{inside}{'<a>' * 100_000}")
    assert isinstance(error, QifLimitError)
    assert error.reason == "elements are nested more than 128 deep"


@pytest.mark.parametrize(
    "token",
    [f"<a b='{'x' * 3 * MIB}'/>", f"<!--{'x' * 3 * MIB}-->", f"<?x {'x' * 3 * MIB}?>", "<" + "a" * 3 * MIB],
    ids=["attribute", "comment", "instruction", "name"],
)
def test_a_giant_tag_or_comment_is_refused(tmp_path: Path, token: str) -> None:
    assert "a tag or comment of more than 1,048,576 bytes" in refusal(tmp_path, OPENED + token).reason


def test_a_giant_text_is_refused_where_it_would_be_read(tmp_path: Path) -> None:
    file = tmp_path / "made.qif"
    file.write_text(WHOLE.replace("Gauge room", "x" * 3 * MIB))
    with quickly(), pytest.raises(QifLimitError, match="a text of more than 1,048,576 characters"):
        read_document(file)
    file.write_text(WHOLE.replace("<Plan>", f"<UserDataXML>{'x' * 3 * MIB}</UserDataXML><Plan>"))
    with quickly():
        assert read_document(file).plans[0].characteristics


def test_names_that_never_repeat_are_refused(tmp_path: Path) -> None:
    tags = "".join(f"<a{number}/>" for number in range(50_000))
    assert "more than 20,000 different names" in refusal(tmp_path, OPENED + tags).reason
    attributes = "".join(f"<a b{number}=''/>" for number in range(50_000))
    assert "more than 20,000 different names" in refusal(tmp_path, OPENED + attributes).reason
    prefixes = "".join(f"<a xmlns:p{number}='u'/>" for number in range(50_000))
    assert "more than 20,000 different names" in refusal(tmp_path, OPENED + prefixes).reason


def test_a_file_of_ten_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "large.qif"
    with file.open("wb") as stream:
        stream.write(WHOLE.encode())
        stream.truncate(10 * 1024**3)
    with (
        quickly(0.2),
        pytest.raises(QifLimitError, match=r"has 10,737,418,240 bytes, the limit is 2,147,483,648"),
    ):
        read_document(file)
    assert [one.check for one in validate(file).findings] == ["xml"]


def test_a_stream_without_an_end_is_refused_at_the_limit() -> None:
    endless = Endless(OPENED.encode(), b"<a/>")
    with pytest.raises(QifLimitError, match=r"endless.qif: the file has more, the limit is 1,048,576 bytes"):
        for _ in read_chunks(endless, Limits(size=MIB)):  # type: ignore[arg-type]
            pass
    assert endless.given < 2 * MIB


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_packed_files_are_not_unpacked(tmp_path: Path, packing: str) -> None:
    file = tmp_path / "bomb.qif"
    if packing == "gzip":
        file.write_bytes(gzip.compress(b"0" * 10 * MIB))
    else:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.qif", b"0" * 10 * MIB)
    error = refusal(tmp_path, file.read_bytes())
    assert (error.reason, error.line) == (f"the file is packed with {packing}", None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"   \n", "the document ends too early: no element found"),
        (b"%PDF-1.7 \xff", "not XML: the file does not begin with <"),
        (b"\x00\x01\x02\x03", "not well-formed, or not in the encoding that it declares"),
        (b"<html><body/></html>", "not a QIF document: the root element is html"),
        (b"<UUID>5</UUID>", "not a QIF document: the root element is UUID"),
        (
            b'<QIFDocument xmlns="http://qifstandards.org/xsd/qif2"/>',
            "namespace http://qifstandards.org/xsd/qif2",
        ),
        (b"<QIFDocument/>", "not QIF 3.0: namespace none, version unknown"),
        (WHOLE[:4000].encode(), "the document ends too early: "),
        (WHOLE.replace("</Plan>", "</Plans>").encode(), "not well-formed: mismatched tag"),
        ((WHOLE + "<more/>").encode(), "not well-formed: junk after document element"),
        (WHOLE.encode("latin-1"), "not well-formed, or not in the encoding that it declares"),
        (WHOLE.replace("UTF-8", "klingon").encode(), "the encoding can't be read: "),
        (WHOLE.replace("UTF-8", "rot13").encode(), "the encoding can't be read: "),
        (WHOLE.replace("UTF-8", "shift_jis").encode(), "the encoding can't be read: "),
        (WHOLE.encode("utf-32"), "not well-formed"),
        (WHOLE.replace("UTF-8", "UTF-16").encode(), "encoding specified in XML declaration is incorrect"),
        (WHOLE.replace("Gauge", "Ga\x00uge").encode(), "not well-formed"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path, content).reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_encodings_that_are_declared_are_read(tmp_path: Path, encoding: str) -> None:
    declared = "utf-16" if encoding.startswith("utf-16") else encoding.removesuffix("-sig")
    bom = "\ufeff" if encoding == "utf-16-le" else ""
    file = tmp_path / "made.qif"
    file.write_bytes((bom + WHOLE.replace("UTF-8", declared)).encode(encoding))
    assert read_document(file).application == "Ägir"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for file, reason in [
        (tmp_path / "missing.qif", "can't be read: No such file or directory"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
    ]:
        for read in (read_document, validate):
            with pytest.raises(QifFileError) as raised:
                read(file)
            assert (raised.value.reason, raised.value.exit_code) == (reason, 2)


# Whatever happens to a document on its way, reading ends with what it says or with the error that says what is wrong.

_BYTES = WHOLE.encode()
_PIECES = [
    b"<",
    b"</",
    b">",
    b"&",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<?",
    b"\x00",
    b"\xff\xfe",
    b"'",
    b'"',
    b"id='1'",
]


def survives(folder: Path, content: bytes, schemas: Path | None = None) -> None:
    file = folder / "made.qif"
    file.write_bytes(content)
    with quickly(5):
        try:
            document = read_document(file)
            for results in document.results:
                for _ in results.measurements:
                    pass
        except QifDocumentError:
            pass  # every other error is one of ours
        report = validate(file, schema_dir=schemas)
    assert all(finding.message for finding in report.findings)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(_BYTES)))
@example(at=0)
@example(at=len(_BYTES) - 1)
def test_truncations_end_with_the_error(tmp_path: Path, at: int) -> None:
    survives(tmp_path, _BYTES[:at])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(0, len(_BYTES) - 1), st.integers(1, 255)), min_size=1, max_size=4)
)
def test_flipped_bytes_end_with_the_error_or_a_document(tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    content = bytearray(_BYTES)
    for at, mask in flips:
        content[at] ^= mask
    survives(tmp_path, bytes(content))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(_BYTES)),
    piece=st.one_of(st.sampled_from(_PIECES), st.binary(min_size=1, max_size=40)),
)
def test_insertions_end_with_the_error_or_a_document(tmp_path: Path, at: int, piece: bytes) -> None:
    survives(tmp_path, _BYTES[:at] + piece + _BYTES[at:])


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mangled_documents_never_surprise_the_schemas(
    tmp_path: Path, standards: Path, data: st.DataObject
) -> None:
    content = _BYTES
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 200)))
        middle = data.draw(st.one_of(st.just(b""), st.sampled_from(_PIECES), st.just(content[start:end] * 2)))
        content = content[:start] + middle + content[end:]
    survives(tmp_path, content, standards / "qif" / "xsd")


@pytest.mark.slow
def test_attacks_need_little_memory(tmp_path: Path) -> None:
    """In a process of its own that may have 300 MB: more than enough for Python, too little for any bomb."""
    attacks = {
        "laughs": billion_laughs(),
        "quadratic": quadratic_blowup(),
        "deep": OPENED + "<a>" * 5_000_000,
        "attribute": f"{OPENED}<a b='{'x' * 50 * MIB}'/>",
        "text": WHOLE.replace("Gauge room", "x" * 50 * MIB),
        "names": OPENED + "".join(f"<a{number}/>" for number in range(1_000_000)),
        "wide": OPENED + "<Product>" + "<a/>" * 1_000_000,
        "items": OPENED
        + "<Characteristics><CharacteristicItems>"
        + "<LengthCharacteristicItem><Name>x</Name></LengthCharacteristicItem>" * 100_000,
    }
    for name, content in attacks.items():
        (tmp_path / f"{name}.qif").write_text(content)
    code = textwrap.dedent("""
        import json, resource, sys, time
        from pathlib import Path
        from dotpeen_qif.limits import QifDocumentError
        from dotpeen_qif.reading import read_document
        resource.setrlimit(resource.RLIMIT_AS, (300 * 2**20, 300 * 2**20))
        for file in sys.argv[1:]:
            started = time.process_time()
            try:
                read_document(Path(file))
                said = "read"
            except QifDocumentError as error:
                said = error.reason[:40]
            print(json.dumps([Path(file).stem, said, round(time.process_time() - started, 2)]))
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, *(str(tmp_path / f"{name}.qif") for name in attacks)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = {name: (reason, seconds) for name, reason, seconds in map(json.loads, done.stdout.splitlines())}
    assert set(said) == set(attacks)
    assert all(reason != "read" for reason, _ in said.values())
    assert all(seconds < 15 for _, seconds in said.values()), said
