"""Attributes of instances as far as they are what they should be: what is anything else counts as not there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dotpeen_step.part21.values import Enumeration, Reference, Typed

if TYPE_CHECKING:
    from dotpeen_step.part21.instance import Instance
    from dotpeen_step.part21.values import Value


def keywords_of(instance: Instance) -> tuple[str, ...]:
    """Return the keywords of an instance whose attributes are read anyway."""
    return (instance.keyword,) if instance.keyword else tuple(part.keyword for part in instance.parts)


def attributes(instance: Instance, keyword: str) -> tuple[Value, ...]:
    """Return those of a complex instance's part with this keyword, or all of a simple one."""
    return instance.parameters if instance.keyword else instance.part(keyword) or ()


def ref(values: tuple[Value, ...], index: int) -> int | None:
    """Return the instance that an attribute refers to."""
    value = _at(values, index)
    return value.id if isinstance(value, Reference) else None


def text(values: tuple[Value, ...], index: int) -> str:
    """Return the text of an attribute, also of a typed one; empty where it has none."""
    value = _at(values, index)
    if isinstance(value, Typed) and value.parameters:
        value = value.parameters[0]
    return value if isinstance(value, str) else ""


def number(values: tuple[Value, ...], index: int) -> float | None:
    """Return the number of an attribute, typed or not: `2.5`, `LENGTH_MEASURE(2.5)`. None for what is not finite."""
    value = _at(values, index)
    if isinstance(value, Typed) and value.parameters:
        value = value.parameters[0]
    if not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number with more than 308 digits
        return None


def refs(value: Value) -> Iterator[int]:
    """Yield the instances that a list refers to, of a typed list, too; not those in lists within it."""
    if isinstance(value, Typed):
        value = value.parameters[0] if len(value.parameters) == 1 else value.parameters
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Reference):
            yield one.id


def words(value: Value) -> Iterator[str]:
    """Yield the enumerations of a list as words: `maximum material requirement`."""
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Typed) and one.parameters:
            one = one.parameters[0]
        if isinstance(one, Enumeration):
            yield one.name.replace("_", " ").lower()


def listed(values: tuple[Value, ...], index: int) -> Value:
    """Return a list, or whatever stands there; an empty one where nothing does."""
    return _at(values, index, ())


def _at(values: tuple[Value, ...], index: int, default: Value = ()) -> Value:
    return values[index] if -len(values) <= index < len(values) else default
