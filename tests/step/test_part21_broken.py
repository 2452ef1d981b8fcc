"""Broken, cut off and malicious files: a clear error or a right result, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_step.part21 import Part21Error, Part21File, Part21FileError, Part21LimitError
from step.files import part21
from step.part21_strategies import Structure, structures

GOOD = part21("#1=A('x',#2,(1.5,.T.,$));\n#2=(B()C(*));\n#3=D('it''s; (',LENGTH(2.));")
BLOCKS = st.sampled_from([1, 5, 64, 256 * 1024])


def outcome(text: bytes, *, block: int = 256 * 1024) -> list[tuple[int, bytes]] | str:
    """What scanning gives: where the instances are, all their values decoded, or the message of the error."""
    try:
        with Part21File.from_bytes(text, "part.stp", block=block) as file:
            list(file.anchors)
            list(file.references)
            found = [(instance.offset, instance.raw, instance.parts) for instance in file.scan()]
            return [(offset, raw) for offset, raw, _ in found]
    except Part21Error as error:
        return str(error)


def error_of(text: bytes) -> Part21Error:
    with pytest.raises(Part21Error) as caught, Part21File.from_bytes(text, "part.stp") as file:
        list(file.scan())
    return caught.value


@pytest.mark.parametrize(
    ("data", "line", "byte", "reason"),
    [
        ("#1=A(1,,2);", 1, 7, "expected a parameter, found ','"),
        ("#1=A(1,2;", 1, 8, "expected a comma or ) after a parameter, found ';'"),
        ("#1=A(1)\n#2=B();", 2, 8, "expected a semicolon, found '#2'"),
        ("#1=A(1));", 1, 7, "expected a semicolon, found ')'"),
        ("#1=A(1),B(2);", 1, 7, "expected a semicolon, found ','"),
        ("#1=A('x);\n#2=B();", 1, 5, "a string has no end"),
        ("#1=A(/* x);\n#2=B();", 1, 5, "a comment has no end: there is no */ behind it"),
        ('#1=A("0G");', 1, 7, "'G' can't stand in a binary"),
        ("#1=A(<x\ny>);", 1, 7, "'\\n' can't stand in a resource"),
        ("#1=A(1.5.2);", 1, 8, "expected a comma or ) after a parameter, found '.2'"),
        ("#1=A(1.5X3);", 1, 8, "expected a comma or ) after a parameter, found 'X3'"),
        ("#1=A(1 2);", 1, 7, "expected a comma or ) after a parameter, found '2'"),
        ("#1=A(B);", 1, 6, "expected a list after the keyword, found ')'"),
        ("#1=A(&);", 1, 5, "'&' can't stand here"),
        ("#1=();", 1, 4, "expected a keyword, found ')'"),
        ("#1=;", 1, 3, "expected a keyword, found ';'"),
        ("#=A();", 1, 0, "'#' can't stand here"),
        ("1=A();", 1, 0, "expected an instance or ENDSEC;, found '1'"),
        ("#1=A();;", 1, 7, "expected an instance or ENDSEC;, found ';'"),
        ("#1=A();\n#2=B();\n#01=C();", 3, 16, "#1 is there a second time: the first is in line 8"),
        ("#1234567890123456789=A();", 1, 0, "an instance name with more than 18 digits"),
        (f"#{'9' * 5000}=A();", 1, 0, "an instance name with more than 18 digits"),
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_errors_name_line_and_byte(data: str, line: int, byte: int, reason: str, newline: bytes) -> None:
    text = part21(data, newline=newline)
    start = text.index(b"DATA;" + newline) + 5 + len(newline)
    byte += data[:byte].count("\n") * (len(newline) - 1)
    error = error_of(text)
    if newline in b"\r\n" and "\\n" not in reason:
        assert (error.line, error.byte, error.reason) == (line + 7, start + byte, reason)
    assert str(error) == f"part.stp:{error.line}: {error.reason} (byte {error.byte})"
    assert outcome(text, block=3) == str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "part.stp: the file is empty"),
        (b"PK\x03\x04....", "part.stp: this is a ZIP archive, not a STEP file"),
        (
            b"solid cube",
            "part.stp:1: this is no STEP file: expected ISO-10303-21;, found 'solid cube' (byte 0)",
        ),
        (b"ISO-10303-21;\nDATA;", "part.stp:2: expected HEADER;, found 'DATA;' (byte 14)"),
        (GOOD[:-18], "part.stp:12: expected END-ISO-10303-21;, found the end of the file (byte 301)"),
        (
            GOOD + b"#4=X();",
            "part.stp:13: nothing but signatures may follow END-ISO-10303-21;, found '#4=X();' (byte 319)",
        ),
        (
            GOOD.replace(b"ENDSEC;\nEND-", b"END-"),
            "part.stp:11: expected an instance or ENDSEC;, found 'END' (byte 293)",
        ),
        (
            GOOD.partition(b"DATA;")[0] + b"BLOB;\n#1",
            "part.stp:7: expected a section or END-ISO-10303-21;, found 'BLOB;\\n#1' (byte 218)",
        ),
    ],
)
def test_what_is_no_exchange_structure_is_refused(text: bytes, message: str) -> None:
    assert str(error_of(text)) == message


def test_files_that_cant_be_read_are_named(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "none.stp", "can't be read: No such file or directory"),
        (tmp_path, "not a regular file"),
        (Path("a\0b"), "can't be read: embedded null byte"),
    ]:
        with pytest.raises(Part21FileError) as caught:
            Part21File.open(path)
        assert str(caught.value) == f"{path}: {reason}"
        assert caught.value.exit_code == 2


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS, data=st.data())
def test_a_cut_off_file_is_an_error(structure: Structure, block: int, data: st.DataObject) -> None:
    end = structure.text.index(b"END-ISO-10303-21;") + len(b"END-ISO-10303-21")
    cut = structure.text[: data.draw(st.integers(0, end))]
    assert isinstance(outcome(cut, block=block), str)


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS, data=st.data())
def test_changed_bytes_give_an_error_or_a_result_in_any_block_size(
    structure: Structure, block: int, data: st.DataObject
) -> None:
    text = bytearray(structure.text)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        change = data.draw(st.sampled_from(["flip", "insert", "delete", "repeat"]))
        some = data.draw(
            st.sampled_from([b"'", b"(", b")", b";", b"/*", b"#", b"<", b"\\", b",", b"\xff", b"\0", b"="])
        )
        if change == "flip":
            text[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "insert":
            text[place:place] = some
        elif change == "delete":
            del text[place : place + data.draw(st.integers(1, 9))]
        else:
            text[place:place] = text[place : place + data.draw(st.integers(1, 40))]
        if not text:
            return
    whole = outcome(bytes(text))
    assert outcome(bytes(text), block=block) == whole
    unchecked(bytes(text))


def unchecked(text: bytes) -> None:
    """Search without checks: whatever it finds, nothing but our own error comes out."""
    try:
        with Part21File.from_bytes(text) as file:
            for instance in file.find(frozenset({"A", "B"})):
                assert instance.parts
                instance.references()
            _ = file.data_sections
            file.unused_ids(3)
    except Part21Error:
        pass


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 5000, "1" + "0" * 17 + "5"])
def test_names_that_are_too_long_are_no_others(digits: str) -> None:
    with Part21File.from_bytes(part21(f"#5=A(#{digits});\n#{digits}=A();")) as file:
        found = file.find(frozenset({"A"}))
        first = next(found)
        assert all(type(value).__name__ in ("Reference", "OccurrenceName") for value in first.parameters)
        with pytest.raises(Part21LimitError, match="more than 18 digits"):
            next(found)


@settings(max_examples=25, deadline=None)
@given(text=st.binary(max_size=300))
def test_anything_else_is_an_error(text: bytes) -> None:
    assert isinstance(outcome(text), str)
    outcome(GOOD[:100] + text)
    outcome(GOOD[:230] + text + GOOD[230:])


def test_a_limit_of_depth_is_an_error_and_less_is_read() -> None:
    deepest = part21(f"#1=A{'(' * 256}{')' * 256};")
    with Part21File.from_bytes(deepest) as file:
        (instance,) = file.scan()
        assert len(repr(instance.parts)) > 256
    error = error_of(part21(f"#1=A{'(' * 257}{')' * 257};"))
    assert isinstance(error, Part21LimitError)
    assert "more than 256 lists within each other" in str(error)


MILLION = 1_000_000
HOSTILE = {
    "nesting": (b"", b"(", MILLION, b""),
    "nesting that closes": (b"(" * MILLION, b")", MILLION, b";"),
    "typed nesting": (b"", b"A(", MILLION, b""),
    "string without end": (b"'", b"x", 50 * MILLION, b""),
    "string full of apostrophes": (b"'", b"''", 25 * MILLION, b""),
    "string full of semicolons": (b"'", b"; ", 25 * MILLION, b""),
    "string full of instances": (b"'", b"#1=PRODUCT(1);", 4 * MILLION, b""),
    "comment without end": (b"/*", b"*", 50 * MILLION, b""),
    "comments without end": (b"", b"/*", 25 * MILLION, b""),
    "comments": (b"", b"/**/", 12 * MILLION, b""),
    "binary without end": (b'"', b"0", 50 * MILLION, b""),
    "resource without end": (b"<", b"x", 50 * MILLION, b""),
    "number without end": (b"1.", b"1", 50 * MILLION, b""),
    "enumeration without end": (b".", b"A", 50 * MILLION, b""),
    "keyword without end": (b"", b"A", 50 * MILLION, b""),
    "blanks": (b"", b" ", 50 * MILLION, b""),
    "commas": (b"1", b",", 50 * MILLION, b""),
    "one large instance": (b"#1", b",#1", 17 * MILLION, b");"),
}
"""What stands behind `#1=A(`: a beginning, what is repeated how often, and an end."""


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_made_to_exhaust_is_refused_soon(case: str, tmp_path: Path) -> None:
    begin, repeated, times, end = HOSTILE[case]
    path = tmp_path / "hostile.stp"
    with path.open("wb") as file:
        file.write(part21("#1=A(").partition(b"ENDSEC;\nEND-")[0].rstrip() + begin)
        for _ in range(10):
            file.write(repeated * (times // 10))
        file.write(end)
    seconds, memory, message = measured(path)
    assert message.startswith("Error: ")
    assert str(path) in message
    assert seconds < 60
    assert memory < 120


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.stp"
    head, _, tail = part21("#1=PRODUCT('it''s; large','','',());").partition(b"ENDSEC;\nEND-")
    with path.open("wb") as file:
        file.write(head)
        for number in range(2, 3_000_000, 1000):
            points = (
                b"#%d=CARTESIAN_POINT('',(0.,%d.5,-2.E-003));\n" % (each, each)
                for each in range(number, number + 1000)
            )
            file.write(b"".join(points))
        file.write(b"ENDSEC;\nEND-" + tail)
    _, memory, message = measured(path)
    assert message == "1"
    assert path.stat().st_size > 140_000_000
    assert memory < 100


def measured(path: Path) -> tuple[float, float, str]:
    """Scan a file in a process of its own: seconds, most MiB it had, and the last line it wrote."""
    program = (
        "import sys, dotpeen.cli.app\n"
        "from dotpeen_step.part21 import Part21File, Part21Error\n"
        "try:\n"
        "    with Part21File.open(sys.argv[1]) as file:\n"
        "        print(sum(1 for _ in file.instances(frozenset({'PRODUCT', 'GENERAL_PROPERTY'}))))\n"
        "except Part21Error as error:\n"
        "    print('Error:', error)\n"
        "status = open('/proc/self/status').read()\n"  # ru_maxrss has the parent's memory in it
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=280
    )
    seconds = time.monotonic() - started
    message, memory = run.stdout.splitlines()[-2:]
    return seconds, int(memory) / 1024, message
