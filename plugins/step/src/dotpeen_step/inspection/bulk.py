"""Read the references of very many instances: the same few entities, millions of times.

An `Instance` for each would take longer than all the rest. Here the entities of one level are found by a pattern in
the text of many statements, and only instance names are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from dotpeen_step.part21.searching import segments

if TYPE_CHECKING:
    from dotpeen_step.part21.file import Part21File

_BLANKS: Final = rb"[\x00-\x20]*+"
_BODY: Final = rb"([^';]*+(?:'[^']*+'[^';]*+)*+);"
_REFERENCE: Final = re.compile(rb"'[^']*+'|#0*+([0-9]{1,18})(?![0-9])")
_LONGEST_NAME: Final = 64
"""Bytes before `=` in which an instance name is looked for."""


def references_of(
    file: Part21File, keywords: frozenset[str], wanted: Callable[[int], int]
) -> Iterator[tuple[int, Iterator[int]]]:
    """Yield what `wanted` says of each instance with one of the keywords, and the instance names it refers to.

    Instances of which `wanted` says 0 are passed over. Complex instances count by any of their parts. Comments
    between an instance name and its keyword hide the instance, as nobody writes them there.
    """
    any_of = b"|".join(sorted((keyword.encode("ascii") for keyword in keywords), reverse=True))
    # What begins with a parenthesis is a complex instance: of interest where it has such a part.
    pattern = re.compile(rb"=%s(?:(?:%s)%s\(|(\())%s" % (_BLANKS, any_of, _BLANKS, _BODY))
    part = re.compile(rb"(?<![A-Z0-9_])(?:%s)%s\(" % (any_of, _BLANKS))
    for _, _, text, end in segments(file._source, file.header.end, file.size):
        for found in pattern.finditer(text, 0, end):
            place = found.start()
            begin = text.rfind(b"#", max(0, place - _LONGEST_NAME), place) + 1
            name = text[begin:place]
            if not begin or not name.strip().isdigit():
                continue
            if found[1] and part.search(found[2]) is None:
                continue
            if said := wanted(int(name)):
                yield said, (int(number) for number in _REFERENCE.findall(found[2]) if number)
