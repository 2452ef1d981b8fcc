"""Measurements that were recognized by their shape, checked by what checks the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dotpeen_qif.reading.shapes import Shape, outlined, slot_of
from dotpeen_qif.reading.skimming import Take

Look: TypeAlias = Callable[[Sequence[str], str, Mapping[str, str]], None]
"""Looks at a text: names of the elements that it is in, from the root; the text; attributes of the innermost."""


def take_alike(
    shape: Shape,
    around: Sequence[str],
    meaning: Callable[[str], Look | None],
    define: Callable[[str, str], None],
    stand: Callable[[int], None],
) -> Take | None:
    """Return what does for elements of a shape what is done for others, one by one, while they are parsed.

    `around` names the elements that they are in, `meaning` gives what looks at texts by the name of their element,
    `define` takes name and id of an element with one, `stand` the line that both are told of. None for a shape with
    something to report in each: that is the parser's.
    """
    defined: list[tuple[str, str | None]] = [(shape.name, shape.attributes.get("id"))]
    looks: list[tuple[Look, Sequence[str], str, Mapping[str, str], int]] = []
    for (_, name, attributes, text), line, (path, count) in zip(
        shape.leaves, shape.lines, outlined(shape), strict=True
    ):
        if count and attributes.get("n", str(count)) != str(count):
            return None
        defined.append((name, attributes.get("id")))
        look = meaning(name) if text else None
        if look is not None:
            looks.append((look, [*around, shape.name, *path], text, attributes, line))
    ids = [(name, slot) for name, text in defined if text and (slot := slot_of(text)) is not None]
    if len(ids) < sum(text is not None for _, text in defined):
        return None
    slotted = [(look, names, slot_of(text), text, of, line) for look, names, text, of, line in looks]

    def take(values: Sequence[str], line: int) -> None:
        stand(line)
        for name, slot in ids:
            define(name, values[slot])
        for look, names, place, text, attributes, below in slotted:
            if below:
                stand(line + below)
            look(names, text if place is None else values[place], attributes)

    return take
