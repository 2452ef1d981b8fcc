"""Edits of a file: what they leave alone stays byte for byte, and the new file is there whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import ConfigurationError
from dotpeen_step.stamping.edits import Edit, Span, edited, pieces
from dotpeen_step.stamping.writing import Version, drafting, write_edited

CONTENT = b"ISO-10303-21;\r\nHEADER;\r\nENDSEC;\r\n"


@st.composite
def contents_and_edits(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """A file, and edits of it in the order of the file."""
    content = draw(st.binary(max_size=200))
    bounds = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    spans = zip(bounds[::2], bounds[1::2], strict=False)
    return content, [Edit(start, end, draw(st.binary(max_size=10))) for start, end in spans]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.stp"
    file.write_bytes(CONTENT)
    return file


@given(contents_and_edits())
def test_every_byte_outside_of_the_edits_stays(drawn: tuple[bytes, list[Edit]]) -> None:
    content, edits = drawn
    expected, reached = b"", 0
    for edit in edits:
        expected += content[reached : edit.offset] + edit.text
        reached = edit.end
    assert edited(content, edits) == expected + content[reached:]


@given(contents_and_edits())
def test_the_file_is_what_the_edits_say(drawn: tuple[bytes, list[Edit]]) -> None:
    content, edits = drawn
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        source.write_bytes(content)
        size = write_edited(source, target, edits, durable=False)
        assert (target.read_bytes(), size) == (edited(content, edits), target.stat().st_size)
        assert sorted(one.name for one in Path(folder).iterdir()) == ["source", "target"]


@pytest.mark.parametrize("ahead", [1, 20, len(CONTENT), 10_000])
@pytest.mark.parametrize("edits", [[], [Edit(5, 9, b"*")], [Edit.insert(25, b"*")]])
def test_what_was_copied_ahead_makes_no_difference(source: Path, ahead: int, edits: list[Edit]) -> None:
    target = source.with_name("target.stp")
    with drafting(source, target, ahead=ahead) as draft:
        assert draft.finish(edits) == len(edited(CONTENT, edits))
    assert target.read_bytes() == edited(CONTENT, edits)


def test_a_draft_that_is_not_finished_is_gone(source: Path) -> None:
    with drafting(source, source.with_name("target.stp"), ahead=20):
        assert [one.name for one in source.parent.glob(".target.stp.*.part")]
    assert [one.name for one in source.parent.iterdir()] == ["source.stp"]


def test_edits_come_in_any_order_and_insertions_at_one_place_in_theirs() -> None:
    edits = [Edit.insert(3, b"+"), Edit(0, 1, b"-"), Edit.insert(3, b"*")]
    assert list(pieces(5, edits)) == [b"-", Span(1, 3), b"+", b"*", Span(3, 5)]


@pytest.mark.parametrize("edits", [[Edit(0, 3, b""), Edit(2, 4, b"")], [Edit(4, 6, b"")], [Edit(3, 2, b"")]])
def test_edits_that_overlap_or_leave_the_file_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        list(pieces(5, edits))


def test_a_new_file_has_the_mode_of_the_one_it_was_made_of(source: Path) -> None:
    source.chmod(0o640)
    target = source.with_name("target.stp")
    write_edited(source, target, [])
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_file_that_is_replaced_keeps_its_mode(source: Path) -> None:
    target = source.with_name("target.stp")
    target.write_bytes(b"older")
    target.chmod(0o604)
    write_edited(source, target, [Edit.insert(0, b"/**/")])
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"/**/" + CONTENT, 0o604)


def test_a_file_can_take_its_own_place(source: Path) -> None:
    write_edited(source, source, [Edit(0, 3, b"OSI")])
    assert source.read_bytes() == b"OSI" + CONTENT[3:]


def test_a_link_stays_one(source: Path) -> None:
    link = source.with_name("link.stp")
    link.symlink_to(source.name)
    write_edited(link, link, [Edit(0, 3, b"OSI")])
    assert link.is_symlink()
    assert source.read_bytes() == b"OSI" + CONTENT[3:]


def test_what_a_kill_left_is_no_obstacle_and_no_link_there_is_followed(source: Path) -> None:
    precious = source.with_name("precious")
    precious.write_bytes(b"precious")
    for left in ("target.stp.part", ".target.stp.part"):
        source.with_name(left).symlink_to(precious)
    write_edited(source, source.with_name("target.stp"), [])
    assert precious.read_bytes() == b"precious"
    assert source.with_name("target.stp").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["source.stp", "older.stp", "new.stp"])
def test_of_two_that_write_one_file_at_once_the_later_is_refused(source: Path, name: str) -> None:
    source.with_name("older.stp").write_bytes(b"older")
    target = source.with_name(name)
    slow = drafting(source, target)
    draft = slow.__enter__()
    write_edited(source, target, [Edit.insert(9, b"quick")])
    draft.finish([Edit.insert(9, b"slow")])
    with pytest.raises(ConfigurationError, match="changed while it was stamped: nothing was written"):
        slow.__exit__(None, None, None)
    assert target.read_bytes() == edited(CONTENT, [Edit.insert(9, b"quick")])
    assert not list(source.parent.glob(".*"))


def test_a_draft_is_made_of_what_was_read(source: Path) -> None:
    read = Version.at(source)
    write_edited(source, source, [Edit.insert(9, b"*")])
    with (
        pytest.raises(ConfigurationError, match="changed while it was stamped"),
        drafting(source, source.with_name("target.stp"), read=read),
    ):
        pass


def test_a_long_name_is_no_obstacle(source: Path) -> None:
    target = source.with_name("\u00e4" * 125 + ".stp")
    write_edited(source, target, [])
    assert target.read_bytes() == CONTENT


def test_without_the_system_call_the_bytes_are_the_same(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "copy_file_range")
    target = source.with_name("target.stp")
    write_edited(source, target, [Edit(5, 5, b"*")])
    assert target.read_bytes() == CONTENT[:5] + b"*" + CONTENT[5:]


def test_where_the_system_call_fails_half_way_the_rest_is_copied(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.copy_file_range

    def once(*arguments: int) -> int:
        monkeypatch.setattr(os, "copy_file_range", fails)
        return real(arguments[0], arguments[1], 7, arguments[3])

    def fails(*_: int) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", once)
    target = source.with_name("target.stp")
    write_edited(source, target, [Edit(20, 20, b"*")])
    assert target.read_bytes() == CONTENT[:20] + b"*" + CONTENT[20:]


@pytest.mark.parametrize("place", ["missing/target.stp", "."])
def test_a_place_that_takes_no_file_is_said_and_nothing_is_left(source: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be written"):
        write_edited(source, source.parent / place, [])
    assert [one.name for one in source.parent.iterdir()] == ["source.stp"]


def test_a_full_disk_is_said_and_leaves_the_older_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = source.with_name("target.stp")
    target.write_bytes(b"older")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        write_edited(source, target, [])
    assert target.read_bytes() == b"older"
    assert sorted(one.name for one in source.parent.iterdir()) == ["source.stp", "target.stp"]


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_the_older_file_or_the_new_one(tmp_path: Path) -> None:
    source, target = tmp_path / "source.stp", tmp_path / "target.stp"
    source.write_bytes(CONTENT * 200_000)
    code = (
        "import sys; from pathlib import Path; from dotpeen_step.stamping.edits import Edit\n"
        "from dotpeen_step.stamping.writing import drafting, write_edited\n"
        "print('ready', flush=True)\n"
        "while True: write_edited(Path(sys.argv[1]), Path(sys.argv[2]), [Edit.insert(9, b'*')], durable=False)\n"
    )
    whole = edited(source.read_bytes(), [Edit.insert(9, b"*")])
    for delay in (0.0, 0.003, 0.006, 0.01, 0.02):
        target.write_bytes(b"older")
        with subprocess.Popen(
            [sys.executable, "-c", code, source, target], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert target.read_bytes() in (b"older", whole)
