"""Make a text safe for searching: what stands in comments and resources must not be taken for something else."""

from __future__ import annotations

import re
from typing import Final

_HIDING: Final = re.compile(rb"'[^']*+(?:'|\Z)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)|<[^<>\r\n]*+>|\\[NF]\\")
_DOUBTFUL: Final = re.compile(rb"<[^<>\r\n;'#(=]*+[;'#(=]")


def masked(text: bytes) -> bytes:
    """Return a text of the same length, in which an apostrophe begins or ends a string and nothing else.

    It is the text itself where there are no comments, nor resources with apostrophes, semicolons or names in them,
    nor directives for printing.
    """
    if (
        (b"/" in text and b"/*" in text)
        or (b"<" in text and _DOUBTFUL.search(text))
        or (b"\\" in text and (b"\\N\\" in text or b"\\F\\" in text))
    ):
        return _HIDING.sub(_hidden, text)
    return text


def uncommented(text: bytes) -> bytes:
    """Return a text, which begins between statements, with blanks in place of its comments, nothing else moved.

    Left as it is where there are resources that may hide something.
    """
    # One byte is looked for several times as fast as two.
    if b"/" not in text or b"/*" not in text or (b"<" in text and _DOUBTFUL.search(text)):
        return text
    blanked = bytearray(text)
    outside = place = 0
    while (place := text.find(b"/*", place)) >= 0:
        in_string = text.count(b"'", outside, place) & 1
        end = text.find(b"'", place) if in_string else text.find(b"*/", place + 2)
        if end < 0:
            break
        end += 1 if in_string else 2
        if not in_string:
            blanked[place:end] = b" " * (end - place)
        outside = place = end
    return bytes(blanked)


def _hidden(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if not text.startswith(b"'"):
        return b" " * len(text)
    if len(text) > 1 and text.endswith(b"'"):
        return b"'%s'" % (b" " * (len(text) - 2))
    return b"'" + b" " * (len(text) - 1)


def last_end(text: bytes) -> int:
    """Return where the last complete statement of a masked text ends, 0 where there is none."""
    inside = text.count(b"'") & 1
    known = len(text)  # `inside` says whether this place is in a string
    while (place := text.rfind(b";", 0, known)) >= 0:
        inside ^= text.count(b"'", place, known) & 1
        if not inside:
            return place + 1
        known = text.rfind(b"'", 0, place)
        inside = 0  # before the apostrophe that the string begins with
    return 0
