"""How far a large file is read, where somebody looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotpeen.cli.context import Context

if TYPE_CHECKING:
    from dotpeen_step.inspection.collecting import Progress

_LARGE: Final = 20 * 1024**2
"""Bytes of a file from which it takes more than a second."""


@contextmanager
def reading(shared: Context, file: Path) -> Iterator[Progress | None]:
    """Yield what to tell how many bytes are read; None where nobody has to wait, or nobody looks on."""
    try:
        size = file.stat().st_size
    except OSError:
        size = 0  # reading it says what is wrong
    if size < _LARGE or not shared.err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=shared.err, transient=True
    ) as bar:
        task = bar.add_task("", total=size)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def comparing(shared: Context, *files: Path) -> Iterator[Callable[[str, int], None] | None]:
    """Yield what to tell how many bytes of which file are read; each is read more than once. None as for `reading`."""
    sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
    if sum(sizes.values()) < _LARGE or not shared.err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=shared.err, transient=True
    ) as bar:
        task = bar.add_task("")
        yield lambda name, done: bar.update(task, description=name, total=sizes.get(name), completed=done)
