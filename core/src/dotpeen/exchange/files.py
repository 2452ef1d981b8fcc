"""Documents as files: there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dotpeen.errors import ConfigurationError


def write_whole(
    target: Path, chunks: Iterable[bytes], *, progress: Callable[[int], None] = lambda size: None
) -> int:
    """Write a file beside its place and move it there when it is complete and on disk; returns its bytes.

    After an error nothing is left of it, after a kill only `NAME.part`, which the next run overwrites. `progress` is
    called with the bytes written so far. Raises `ConfigurationError` where the file can't be written.
    """
    part = target.with_name(f"{target.name}.part")
    size = 0
    written = iter(chunks)
    try:
        with part.open("wb") as file:
            for chunk in written:
                file.write(chunk)
                size += len(chunk)
                progress(size)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        _keep_name(target.parent)
    except OSError as error:
        _forget(part)
        raise ConfigurationError(f"{target} can't be written: {error.strerror}") from None
    except BaseException:
        _forget(part)
        raise
    finally:
        close = getattr(written, "close", None)
        if close is not None:
            close()
    return size


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
