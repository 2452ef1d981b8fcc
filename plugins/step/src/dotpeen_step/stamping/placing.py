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
