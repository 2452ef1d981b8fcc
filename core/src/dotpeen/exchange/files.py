"""Documents as files: there whole, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dotpeen.errors import ConfigurationError


def write_whole(
    target: Path, chunks: Iterable[bytes], *, progress: Callable[[int], None] = lambda size: None
) -> int:
    """Write a file beside its place and move it there when it is complete and on disk; returns its bytes.

    After an error nothing is left of it, after a kill only `NAME.part`, which the next run overwrites. A file that is
    there already passes on its permissions. A symbolic link stays, and the file that it names is written. What only
    passes bytes on (a pipe, a terminal, `/dev/null`) is written to as it is. `progress` is called with the bytes
    written so far. Raises `ConfigurationError` where the target can't be written, or is nothing that a file may take
    the place of.
    """
    written = iter(chunks)
    try:
        if _passes_on(target):
            return _pass_on(target, written, progress)
        return _replace(Path(os.path.realpath(target)), written, progress)
    except OSError as error:
        raise ConfigurationError(f"{target} can't be written: {error.strerror}") from None
    finally:
        close = getattr(written, "close", None)
        if close is not None:
            close()


def _passes_on(target: Path) -> bool:
    """Tell whether it is no file and can be written to. Raises `ConfigurationError` for what can't, and `OSError`."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return True
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a device or a socket"
        raise ConfigurationError(f"{target} can't be written: it is {what}, and no regular file")
    return False


def _pass_on(target: Path, chunks: Iterable[bytes], progress: Callable[[int], None]) -> int:
    size = 0
    # Without O_CREAT: what has gone since must not become a file.
    with os.fdopen(os.open(target, os.O_WRONLY), "wb") as out:
        for chunk in chunks:
            out.write(chunk)
            size += len(chunk)
            progress(size)
    return size


def _replace(target: Path, chunks: Iterable[bytes], progress: Callable[[int], None]) -> int:
    part = target.with_name(f"{target.name}.part")
    size = 0
    try:
        # A new one: what was left under the name may be a link to somewhere else.
        _forget(part)
        with part.open("xb") as file:
            _pass_mode(target, file.fileno())
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
                progress(size)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        _keep_name(target.parent)
    except BaseException:
        _forget(part)
        raise
    return size


def _pass_mode(target: Path, part: int) -> None:
    """Give the new file the permissions of the one that it takes the place of, before anything is in it."""
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(target.stat().st_mode)
        if hasattr(os, "fchmod"):
            # Not those bits that run a file as its owner: the content is another one.
            os.fchmod(part, mode & 0o777)


def _forget(part: Path) -> None:
    with suppress(OSError):
        part.unlink()


def _keep_name(folder: Path) -> None:
    """See to it that the name survives a crash of the machine, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it
    finally:
        os.close(descriptor)
