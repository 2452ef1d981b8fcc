"""How an exchange structure and its data sections begin."""

from __future__ import annotations

from typing import Final

from dotpeen_step.part21 import grammar
from dotpeen_step.part21.header import Header, read_header
from dotpeen_step.part21.lexing import Form
from dotpeen_step.part21.parameters import parameters
from dotpeen_step.part21.source import Source
from dotpeen_step.part21.values import Typed
from dotpeen_step.part21.window import BLOCK, Window

_OPENING: Final = b"ISO-10303-21"


def start(source: Source, *, block: int = BLOCK) -> Header:
    """Read what comes before everything else: the header."""
    window = Window(source, source.start, block=block)
    if window.peek() != _OPENING:
        raise window.error("this is no STEP file: expected ISO-10303-21;")
    window.open("ISO-10303-21")
    return read_header(window)


def data_parameters(window: Window) -> tuple[str, tuple[str, ...]]:
    """Read what opens a data section, at the window's position: return its name and its schemas."""
    if window.skip(grammar.PLAIN_DATA):
        return "", ()
    values = parameters(window.take(grammar.HEADER_ENTITY, Form.HEADER)[0])
    section = values[0] if isinstance(values[0], Typed) else Typed("DATA", ())
    name, listed = (*section.parameters, "", ())[:2]
    schemas = listed if isinstance(listed, tuple) else ()
    return name if isinstance(name, str) else "", tuple(item for item in schemas if isinstance(item, str))
