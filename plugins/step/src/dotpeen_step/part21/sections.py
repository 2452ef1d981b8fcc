"""The sections of an exchange structure, and where they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section is, in bytes of the file.

    `start` is at its first word, `inside` behind the semicolon that follows, `closing` at ENDSEC, `end` behind
    the last semicolon.
    """

    start: int
    inside: int
    closing: int
    end: int


@dataclass(frozen=True, slots=True)
class DataSection(Section):
    """A data section; edition 3 gives each a name and its schemas where there are several."""

    name: str = ""
    schemas: tuple[str, ...] = ()
