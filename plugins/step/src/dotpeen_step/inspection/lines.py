"""Lines of places in a file, all in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dotpeen_step.part21.file import Part21File

_CHUNK: Final = 1 << 20


def lines_of(file: Part21File, places: Iterable[int]) -> dict[int, int]:
    """Return the line, counted from 1, of each place (a byte of the file, from 0); CR, LF and CRLF end lines."""
    lines: dict[int, int] = {}
    line, position, last = 1, 0, b""
    for place in sorted(set(places)):
        while position < place:
            text = file.read(position, min(_CHUNK, place - position))
            if not text:
                break
            line += text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
            line -= last == b"\r" and text.startswith(b"\n")
            last = text[-1:]
            position += len(text)
        lines[place] = line
    return lines
