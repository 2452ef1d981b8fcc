"""Find the STEP files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dotpeen.errors import ConfigurationError

EXTENSIONS: Final = frozenset({".stp", ".step", ".p21"})
MOST_FILES: Final = 100_000
MOST_FOLDERS: Final = 100_000
"""More of either than this is a folder that nobody meant."""


@dataclass(slots=True)
class Folder:
    """The files, in the order of their paths, and what could not be looked into."""

    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def find_files(folder: Path) -> Folder:
    """Return the STEP files below a folder. Links are followed, and no folder is looked into twice.

    Raises `ConfigurationError` for what is no folder, and for one that has too much in it.
    """
    try:
        if not folder.is_dir():
            raise ConfigurationError(f"{folder} is no folder")
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be looked into: {error.strerror}") from None
    found = Folder()
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                found.skipped.append((here, "a link to a folder that was looked into already"))
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda one: one.name)
        except OSError as error:
            found.skipped.append((here, error.strerror or "it can't be looked into"))
            continue
        waiting += reversed([Path(one.path) for one in _sorted_out(entries, found)])
        if len(seen) > MOST_FOLDERS or len(found.files) > MOST_FILES:
            raise ConfigurationError(
                f"{folder} has more than {MOST_FILES:,} STEP files or {MOST_FOLDERS:,} folders",
                hint="scan its folders one by one",
            )
    found.files.sort()
    return found


def _sorted_out(entries: list[os.DirEntry[str]], found: Folder) -> Iterator[os.DirEntry[str]]:
    """Note the files, and yield the folders."""
    for one in entries:
        try:
            if one.is_dir():
                yield one
            elif Path(one.name).suffix.lower() in EXTENSIONS:
                if one.is_file():
                    found.files.append(Path(one.path))
                else:
                    found.skipped.append((Path(one.path), "no file, or a link to nothing"))
        except OSError as error:
            found.skipped.append((Path(one.path), error.strerror or "it can't be looked at"))
