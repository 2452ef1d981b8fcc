"""The ANCHOR section of ISO 10303-21:2016: the bare UUID as a name of an instance (Annex G)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dotpeen_step.part21.errors import Part21Error
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.header import Header
from dotpeen_step.stamping.edits import Edit
from dotpeen_step.stamping.placing import lines_before, lines_behind

_LEVEL: Final = re.compile(r"\s*([0-9]+)\s*(?:;\s*([0-9]+))?\s*", re.ASCII)
_EDITION_3: Final = 4
"""The version number that the third edition has in implementation levels."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An implementation level that gives way to another."""

    old: str
    new: str


def raised_level(header: Header) -> Raised | None:
    """Return the implementation level that a file with anchors needs; None where it has it already.

    Only version 4 (8.2.2) knows the section. The conformance class says something else, how entities are mapped, and
    stays.
    """
    level = _LEVEL.fullmatch(header.implementation_level)
    if level is not None and int(level[1]) >= _EDITION_3:
        return None
    conformance = (level[2] if level is not None else None) or "1"
    return Raised(header.implementation_level, f"{_EDITION_3};{conformance}")


def anchor_edits(file: Part21File, anchors: Sequence[tuple[str, int]]) -> list[Edit]:
    """Return the edits that give instances these UUIDs as anchors: an entry each, and the section where there is none.

    Raises `Part21Error` where the implementation level has to be raised and there is none.
    """
    lines = [b"<%s>=#%d;" % (uuid.encode("ascii"), ref) for uuid, ref in anchors]
    section = file.anchor_section
    if section is None:
        insertion = lines_behind(file, file.header.end, [b"ANCHOR;", *lines, b"ENDSEC;"])
    else:
        insertion = lines_before(file, section.closing, lines)
    raised = raised_level(file.header)
    if raised is None:
        return [insertion]
    span = file.header.implementation_level_span
    if span is None:
        raise Part21Error(file.name, "FILE_DESCRIPTION has no implementation level that could be raised")
    return [Edit(*span, f"'{raised.new}'".encode("ascii")), insertion]
