"""Write several files as one: all of them or none, and nothing that exists unless asked to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from dotpeen.errors import ConfigurationError


def write_files(contents: Mapping[Path, bytes], *, force: bool = False) -> None:
    """Put every file in place.

    Raises `ConfigurationError` when one exists and `force` is not given, or can't be written; then nothing has changed.
    """
    targets = {path.resolve(): data for path, data in contents.items()}
    for shown, path in zip(contents, targets, strict=True):
        if path.is_dir():
            raise ConfigurationError(f"{shown} is a folder", hint="name another place with -o")
        if path.exists() and not path.is_file():
            # Even --force would not overwrite a pipe or a device, but take it away.
            raise ConfigurationError(f"{shown} is no regular file", hint="name another place with -o")
        if path.exists() and not force:
            raise ConfigurationError(
                f"{shown} exists already", hint="--force overwrites it; -o names another place"
            )
    with ExitStack() as undo:
        try:
            temporaries = {path: _prepare(path, data, undo) for path, data in targets.items()}
            for path, temporary in temporaries.items():
                _place(path, temporary, undo, force=force)
        except FileExistsError as error:
            raise ConfigurationError(
                f"{error.filename2 or error.filename} exists already", hint="--force overwrites it"
            ) from None
        except OSError as error:
            where = error.filename2 or error.filename
            raise ConfigurationError(f"{where} can't be written: {error.strerror}") from None
        # Everything is in place: only the temporary files that were linked are left.
        undo.pop_all()
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def _prepare(path: Path, data: bytes, undo: ExitStack) -> Path:
    for folder in reversed([path.parent, *path.parent.parents]):
        if not folder.exists():
            folder.mkdir()
            undo.callback(folder.rmdir)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    undo.callback(temporary.unlink, missing_ok=True)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        temporary.chmod(path.stat().st_mode & 0o777)
    else:
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
    return temporary


def _place(path: Path, temporary: Path, undo: ExitStack, *, force: bool) -> None:
    if force and path.exists():
        before = path.read_bytes()
        undo.callback(path.write_bytes, before)
        temporary.replace(path)
        return
    # Unlike a rename, a hard link never overwrites what came into being meanwhile.
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise
        temporary.rename(path)
    undo.callback(path.unlink, missing_ok=True)
