"""Where insertions go in a file, and how their lines end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dotpeen_step.part21.file import Part21File
from dotpeen_step.stamping.edits import Edit

_LOOKED_AT: Final = 4096
_REST_OF_LINE: Final = re.compile(rb"[ \t]*(?:/\*[^*\r\n]*\*/[ \t]*)*(?=[\r\n])")


def lines_behind(file: Part21File, offset: int, lines: Sequence[bytes]) -> Edit:
    """Return the insertion of lines behind what ends at `offset`.

    They begin a line of their own, and a comment behind what was there stays with it.
    """
    rest = _REST_OF_LINE.match(file.read(offset, _LOOKED_AT))
    place = offset + (rest.end() if rest is not None else 0)
    return Edit.insert(place, b"".join(file.newline + line for line in lines))


def lines_before(file: Part21File, offset: int, lines: Sequence[bytes]) -> Edit:
    """Return the insertion of lines before the word at `offset`, each with its end."""
    return Edit.insert(offset, b"".join(line + file.newline for line in lines))


def instances_edit(file: Part21File, behind: int, lines: Sequence[bytes], *, doubtful: bool = False) -> Edit:
    """Return the insertion of instances: at the end of the data section, where the file has one only.

    Else behind the instance that ends at `behind`, so that they are in its section. `doubtful`: what looks like the
    end may be in a string or a comment.
    """
    closing = last_closing(file)
    if doubtful and closing not in {section.closing for section in file.data_sections}:
        closing = None
    return lines_behind(file, behind, lines) if closing is None else lines_before(file, closing, lines)


def last_closing(file: Part21File) -> int | None:
    """Return where ENDSEC of the only data section is; None where there are several, or may be."""
    begin = file.header.end
    section = file.anchor_section
    if section is not None:
        begin = section.end
    if _ONLY.match(file.read(begin, _LOOKED_AT)) is None:
        return None
    start = max(begin, file.size - _LOOKED_AT)
    found = _CLOSING.search(file.read(start, file.size - start))
    return None if found is None else start + found.start(1)


_ONLY: Final = re.compile(rb"[\x00-\x20]*+DATA[\x00-\x20]*+;")
"""A data section without a name, which a file has only one of (ISO 10303-21, 11.1)."""
_CLOSING: Final = re.compile(
    rb"(?<![A-Za-z0-9_])(ENDSEC)[\x00-\x20]*+;[\x00-\x20]*+END-ISO-10303-21[\x00-\x20]*+;[\x00-\x20]*+\Z"
)
