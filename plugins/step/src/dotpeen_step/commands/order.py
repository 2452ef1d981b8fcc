"""Arguments in the wrong order: a file where a part is to be named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dotpeen.errors import ConfigurationError, RecordNotFoundError


@contextmanager
def hinting(file: Path, parts: Sequence[str], hint: str) -> Iterator[None]:
    """Give the hint where a part is not found, or the file is not there, and what was given as a part is a file.

    Raises `ConfigurationError` for a file that is not there.
    """
    swapped = any(_is_file(part) for part in parts)
    if swapped and not file.exists():
        raise ConfigurationError(f"there is no file {file}", hint=hint)
    try:
        yield
    except RecordNotFoundError as error:
        if swapped:
            error.hint = hint
        raise


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a name may be
        return False
