"""Writing several files as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dotpeen.errors import ConfigurationError
from dotpeen.migration.emit import write_files


def test_existing_files_stay_unless_forced(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "sub" / "new"
    old.write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        write_files({new: b"1", old: b"2"})
    assert (old.read_bytes(), sorted(p.name for p in tmp_path.iterdir())) == (b"mine", ["old"])
    write_files({new: b"1", old: b"2"}, force=True)
    assert (old.read_bytes(), new.read_bytes()) == (b"2", b"1")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["new", "old", "sub"]


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError, match="pipe is no regular file"):
        write_files({tmp_path / "new": b"1", pipe: b"2"}, force=True)
    assert (pipe.is_fifo(), len(list(tmp_path.iterdir()))) == (True, 1)


def test_when_one_can_not_be_placed_nothing_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "sub" / "new"
    old.write_bytes(b"mine")
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "second":
            raise OSError(28, "No space left on device", str(self))
        return real(self, target)

    second = tmp_path / "second"
    second.write_bytes(b"mine, too")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_files({new: b"1", old: b"2", second: b"3"}, force=True)
    assert (old.read_bytes(), second.read_bytes()) == (b"mine", b"mine, too")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["old", "second"]
