"""Anchor and reference sections of edition 3 (ISO 10303-21:2016 clauses 9 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

from dotpeen_step.part21 import grammar, strings
from dotpeen_step.part21.lexing import Form
from dotpeen_step.part21.parameters import parameters
from dotpeen_step.part21.values import Value
from dotpeen_step.part21.window import Window


@dataclass(frozen=True, slots=True)
class Anchor:
    """`<name>=value{tag:value};`: a name by which other files refer to `value`.

    `name` is without the brackets; by Annex G it may be a UUID. `offset` and `end` are the anchor's bytes in the
    file, semicolon included.
    """

    name: str
    value: Value
    offset: int
    end: int
    tags: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class External:
    """`#12=<uri>;` of a reference section: an instance of another file, or what an anchor names.

    `id` is the instance name; None where `name` (as written) is a value's, as `@12` is.
    """

    id: int | None
    name: str
    uri: str
    offset: int
    end: int


def read_anchor(window: Window) -> Anchor:
    """Read the anchor at the window's position. Raises `Part21Error` where it is wrong."""
    window.blanks()
    found = window.take(grammar.ANCHOR, Form.ANCHOR)
    base = window.base
    tags = tuple((tag[1].decode("ascii"), parameters(tag[2])[0]) for tag in grammar.TAG.finditer(found[3]))
    return Anchor(
        strings.decode(found[1]), parameters(found[2])[0], base + found.start(), base + found.end(), tags
    )


def read_external(window: Window) -> External:
    """Read the reference at the window's position. Raises `Part21Error` where it is wrong."""
    window.blanks()
    found = window.take(grammar.EXTERNAL, Form.EXTERNAL)
    name = found[1].decode("ascii")
    number = int(name[1:]) if name[0] == "#" and name[1:].isdigit() and len(name) < 20 else None
    return External(
        number, name, strings.decode(found[2]), window.base + found.start(), window.base + found.end()
    )
