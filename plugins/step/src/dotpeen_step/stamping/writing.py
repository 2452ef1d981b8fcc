"""Write an edited file: what stays is copied by the kernel, and the result is there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dotpeen.errors import ConfigurationError
from dotpeen_step.stamping.edits import Edit, Span, pieces

_BLOCK: Final = 1 << 20
_MOST_AT_ONCE: Final = 1 << 30
"""Bytes of one call to the kernel; it takes no more than 2 GiB."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it is at one time: which one, its bytes, and when it was written to."""

    inode: int
    size: int
    written: int


def version_of(file: Path) -> Version | None:
    """Return the version of a file; None where there is none."""
    try:
        return _version(file.stat())
    except OSError:
        return None


def _version(found: os.stat_result) -> Version:
    return Version(found.st_ino, found.st_size, found.st_mtime_ns)


def write_edited(
    source: Path, target: Path, edits: Iterable[Edit], *, version: Version | None = None, durable: bool = True
) -> int:
    """Write `source` with the edits as `target`, and return its bytes; both may be the same file.

    The new file is made beside its place under the name `NAME.part`, with the mode of the file that it replaces or else
    of `source`, and moved there when it is complete; `durable`: and on disk. A kill leaves at most `NAME.part`, which
    the next run overwrites. A symbolic link stays, and the file that it names is written. Raises `ConfigurationError`,
    also where `source` is no longer the `version` that the edits were made for.
    """
    place = Path(os.path.realpath(target))
    try:
        with source.open("rb") as original:
            found = _version(os.fstat(original.fileno()))
            _require(source, found, version or found)
            mode = _mode(place, original)
            wanted = list(pieces(found.size, edits))
            with _replacing(place, mode, durable=durable) as new:
                for piece in wanted:
                    if isinstance(piece, Span):
                        _copy(original, new, piece)
                    else:
                        _write(new.fileno(), piece)
                _require(source, _version(os.fstat(original.fileno())), found)
                return new.tell()
    except OSError as error:
        named = error.filename or target
        raise ConfigurationError(f"{named} can't be written: {error.strerror}") from None


def _mode(place: Path, original: BinaryIO) -> int:
    try:
        found = place.stat()
    except FileNotFoundError:
        found = os.fstat(original.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(
            f"{place} can't be written: it is no regular file",
            hint="name a file that may be replaced with -o",
        )
    return stat.S_IMODE(found.st_mode)


def _require(source: Path, found: Version, expected: Version) -> None:
    if found != expected:
        raise ConfigurationError(
            f"{source} was written to while it was read", hint="try again when nobody else writes to it"
        )


@contextmanager
def _replacing(place: Path, mode: int, *, durable: bool) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of another when it is complete; after an error it is gone."""
    part = place.with_name(f"{place.name}.part")
    try:
        # A new one: what was left under the name may be a link to somewhere else.
        part.unlink(missing_ok=True)
        with part.open("xb", buffering=0) as new:
            part.chmod(mode)
            yield new
            if durable:
                os.fsync(new.fileno())
        part.replace(place)
        if durable:
            _keep_name(place.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


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
