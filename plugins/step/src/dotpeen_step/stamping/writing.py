"""Write an edited file: what stays is copied by the kernel, and the result is there whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dotpeen.errors import ConfigurationError
from dotpeen_step.stamping.edits import Edit, Span, pieces

if sys.platform != "win32":
    import fcntl

_BLOCK: Final = 1 << 20
_LONGEST_NAME: Final = 40
"""Characters of a name that a draft's name has, so that it isn't too long for the file system."""
_MOST_AT_ONCE: Final = 1 << 30
"""Bytes of one call to the kernel; it takes no more than 2 GiB."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it is at one time: which one, its bytes, and when it was written to."""

    inode: int
    size: int
    written: int

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """Return the version that the system describes."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)

    @classmethod
    def at(cls, path: Path) -> Version | None:
        """Return the version that is at a path now; None where there is none."""
        try:
            return cls.of(path.stat())
        except OSError:
            return None


class Draft:
    """A new file in the making, beside the place that it will take; see `drafting`."""

    def __init__(self, source: Path, original: BinaryIO, new: BinaryIO, *, ahead: int, durable: bool) -> None:
        self._source = source
        self._original = original
        self._new = new
        self._durable = durable
        self._version = Version.of(os.fstat(original.fileno()))
        self._ahead = min(ahead, self._version.size)
        self._thread = ThreadPoolExecutor(1) if self._ahead else None
        self._begun: Future[None] | None = self._thread.submit(self._begin) if self._thread else None
        self.complete = False

    def finish(self, edits: Iterable[Edit]) -> int:
        """Complete the file and return its bytes. Raises `ConfigurationError` where the original was written to."""
        wanted = list(pieces(self._version.size, edits))
        reached = self._reached()
        first = wanted[0] if wanted else None
        if reached and not (isinstance(first, Span) and first.offset == 0 and first.end >= reached):
            self._new.seek(0)
            self._new.truncate()
            reached = 0
        for piece in wanted:
            if isinstance(piece, bytes):
                _write(self._new.fileno(), piece)
            else:
                _copy(self._original, self._new, Span(max(piece.offset, reached), piece.end))
            reached = 0
        if Version.of(os.fstat(self._original.fileno())) != self._version:
            raise ConfigurationError(
                f"{self._source} was written to while it was read",
                hint="try again when nobody else writes to it",
            )
        if self._durable:
            os.fsync(self._new.fileno())
        self.complete = True
        return self._new.tell()

    def close(self) -> None:
        """Let the copying come to its end, whatever became of it."""
        if self._thread is not None:
            self._thread.shutdown()

    def _begin(self) -> None:
        _copy(self._original, self._new, Span(0, self._ahead))
        if self._durable:
            os.fsync(self._new.fileno())

    def _reached(self) -> int:
        """Return how much is there by now. Raises `OSError` where it could not be copied."""
        if self._begun is not None:
            self._begun.result()
        return self._ahead


@contextmanager
def drafting(
    source: Path, target: Path, *, ahead: int = 0, durable: bool = True, read: Version | None = None
) -> Iterator[Draft]:
    """Begin a new file made of `source` that takes the place of `target`, which may be the same file.

    It is made under a name of its own, `.NAME.XXXXXXXX.part`, with mode and owner of the file that it replaces or
    else the mode of `source`, and moved to its place when it was finished; `durable`: and is on disk. Where it
    isn't finished, it is gone afterwards; a kill leaves at most that file. A symbolic link stays, and the file that
    it names is written.
    The first `ahead` bytes are copied in the background meanwhile, in the expectation that no edit is in them.

    What is at the place must be what was there in the beginning, and `source` be as it was `read`: of two that write
    the same file at once, the later one is refused. Raises `ConfigurationError`.
    """
    place = Path(os.path.realpath(target))
    try:
        with source.open("rb") as original:
            there = Version.at(place)
            opened = Version.of(os.fstat(original.fileno()))
            _require_same(source, opened, read or opened)
            if place.exists() and place.samefile(source):
                _require_same(source, there, opened)
            like = _like(place, original)
            with _own_part(place) as part, part.open("r+b", buffering=0) as new:
                _make_like(part, like, replaced=there is not None)
                draft = Draft(source, original, new, ahead=ahead, durable=durable)
                try:
                    yield draft
                finally:
                    draft.close()
                if draft.complete:
                    _take_place(part, place, target, there, durable=durable)
    except OSError as error:
        # The name that it is made under is none that anybody gave.
        named = source if str(error.filename) == str(source) else target
        raise ConfigurationError(f"{named} can't be written: {error.strerror}") from None


@contextmanager
def _own_part(place: Path) -> Iterator[Path]:
    """Make an empty file beside a place that nobody else has, and remove it unless it was moved."""
    descriptor, name = tempfile.mkstemp(".part", f".{place.name[:_LONGEST_NAME]}.", place.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _take_place(part: Path, place: Path, target: Path, there: Version | None, *, durable: bool) -> None:
    """Move a file to its place. Raises `ConfigurationError` where another one came there meanwhile."""
    with _locked(place.parent):
        _require_same(target, Version.at(place), there)
        part.replace(place)
    if durable:
        _keep_name(place.parent)


def _require_same(named: Path, found: Version | None, expected: Version | None) -> None:
    if found != expected:
        raise ConfigurationError(
            f"{named} changed while it was stamped: nothing was written",
            hint="try again when nobody else writes to it",
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep others who stamp from taking a place in a folder, between the look at what is there and the move.

    Of the folder, because what is at the place is another file afterwards, or none before.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems can't; the look alone is nearly as good
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_edited(source: Path, target: Path, edits: Iterable[Edit], *, durable: bool = True) -> int:
    """Write `source` with the edits as `target`, as `drafting` does, and return its bytes."""
    with drafting(source, target, durable=durable) as draft:
        return draft.finish(edits)


def _like(place: Path, original: BinaryIO) -> os.stat_result:
    """Return what the new file is to be like: the file that it replaces, or the original."""
    try:
        found = place.stat()
    except FileNotFoundError:
        found = os.fstat(original.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(
            f"{place} can't be written: it is no regular file",
            hint="name a file that may be replaced with -o",
        )
    return found


def _make_like(part: Path, like: os.stat_result, *, replaced: bool) -> None:
    if replaced and hasattr(os, "chown"):
        # Another's file stays that one's where we may give it away. Before the mode, parts of which this takes away.
        with suppress(OSError):
            os.chown(part, like.st_uid, like.st_gid)
    part.chmod(stat.S_IMODE(like.st_mode))


def _copy(original: BinaryIO, new: BinaryIO, span: Span) -> None:
    """Copy a span to the end of the new file. Raises `OSError` where the original has become shorter."""
    done = _copy_in_kernel(original.fileno(), new.fileno(), span)
    while done < span.end:
        block = os.pread(original.fileno(), min(_BLOCK, span.end - done), done)
        if not block:
            raise OSError(0, "it became shorter while it was read", original.name)
        _write(new.fileno(), block)
        done += len(block)


def _copy_in_kernel(source: int, target: int, span: Span) -> int:
    """Copy what the system can without passing it through this process; returns the offset reached."""
    done = span.offset
    if not hasattr(os, "copy_file_range"):
        return done
    # Not every file system can; what is left is copied by hand.
    with suppress(OSError):
        while done < span.end:
            copied = os.copy_file_range(source, target, min(_MOST_AT_ONCE, span.end - done), done)
            if copied == 0:
                break
            done += copied
    return done


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _keep_name(folder: Path) -> None:
    """See to it that the name survives a crash of the machine, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems refuse it
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
