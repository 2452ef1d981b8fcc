"""The header section (ISO 10303-21 clause 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dotpeen_step.part21 import grammar, limits
from dotpeen_step.part21.errors import Part21LimitError
from dotpeen_step.part21.lexing import Form
from dotpeen_step.part21.parameters import parameters, tokens
from dotpeen_step.part21.sections import Section
from dotpeen_step.part21.values import Typed, Value
from dotpeen_step.part21.window import Window

_EDITION: Final = re.compile(r"\s*(\d+)(?:\s*;\s*(\d+))?\s*")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says. A text that the file leaves out, or `$`, is empty; so is a list.

    `section` is where the header is in the file. `implementation_level_span` is where that string stands,
    apostrophes included, None where it is missing. `entities` are all header entities as written, those of
    edition 2 and 3 (`FILE_POPULATION`, `SECTION_LANGUAGE`, `SECTION_CONTEXT`, `SCHEMA_POPULATION`) and
    user-defined ones included.
    """

    description: tuple[str, ...]
    implementation_level: str
    name: str
    time_stamp: str
    author: tuple[str, ...]
    organization: tuple[str, ...]
    preprocessor_version: str
    originating_system: str
    authorisation: str
    schemas: tuple[str, ...]
    entities: tuple[Typed, ...]
    section: Section
    implementation_level_span: tuple[int, int] | None

    @property
    def start(self) -> int:
        """Where the section begins, in bytes."""
        return self.section.start

    @property
    def end(self) -> int:
        """Where the section ends, in bytes, the semicolon of ENDSEC included."""
        return self.section.end

    @property
    def edition(self) -> int | None:
        """The edition of ISO 10303-21 by the implementation level: `1`, `2;1`, `3;1` (2 with corrections), `4;1`.

        Clause 8.2.2: version 4 is the third edition, 2016, with anchors and references.
        """
        found = _EDITION.fullmatch(self.implementation_level)
        return {1: 1, 2: 2, 3: 2, 4: 3}.get(int(found[1][:9])) if found else None


def read_header(window: Window) -> Header:
    """Read the header at the window's position, which is at HEADER. Raises `Part21Error` where it is wrong."""
    if window.peek() != b"HEADER":
        raise window.error("expected HEADER;")
    start, inside = window.open("HEADER")
    entities: list[Typed] = []
    level: tuple[int, int] | None = None
    while window.peek() != b"ENDSEC":
        begun = window.offset
        found = window.take(grammar.HEADER_ENTITY, Form.HEADER)
        if window.offset - inside > limits.HEADER:
            raise window.error("the header is too long", kind=Part21LimitError)
        entity = parameters(found[0])[0]
        if isinstance(entity, Typed):
            entities.append(entity)
            if entity.keyword == "FILE_DESCRIPTION":
                level = _level(found[0], begun)
    closing, end = window.close()
    return _header(entities, level, Section(start, inside, closing, end))


def _level(text: bytes, begun: int) -> tuple[int, int] | None:
    """Find the string that is the second parameter."""
    depth = place = 0
    for kind, token, start in tokens(text):
        if kind == "string" and depth == 1 and place == 1:
            return begun + start, begun + start + len(token)
        if kind == "mark":
            depth += (token == b"(") - (token == b")")
            place += token == b"," and depth == 1
    return None


def _header(entities: list[Typed], level: tuple[int, int] | None, section: Section) -> Header:
    named = {entity.keyword: entity.parameters for entity in reversed(entities)}
    description = _Fields(named.get("FILE_DESCRIPTION", ()))
    name = _Fields(named.get("FILE_NAME", ()))
    return Header(
        description=description.texts(0),
        implementation_level=description.text(1),
        name=name.text(0),
        time_stamp=name.text(1),
        author=name.texts(2),
        organization=name.texts(3),
        preprocessor_version=name.text(4),
        originating_system=name.text(5),
        authorisation=name.text(6),
        schemas=_Fields(named.get("FILE_SCHEMA", ())).texts(0),
        entities=tuple(entities),
        section=section,
        implementation_level_span=level,
    )


class _Fields:
    """Parameters by position, lenient: what isn't a text is none."""

    def __init__(self, values: tuple[Value, ...]) -> None:
        self._values = values

    def text(self, place: int) -> str:
        value = self._values[place] if place < len(self._values) else ""
        return value if isinstance(value, str) else ""

    def texts(self, place: int) -> tuple[str, ...]:
        value = self._values[place] if place < len(self._values) else ()
        listed = value if isinstance(value, tuple) else (value,)
        return tuple(item for item in listed if isinstance(item, str))
