"""Write instances in the clear text encoding of ISO 10303-21."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dotpeen_step.part21 import strings
from dotpeen_step.part21.values import Absent, Enumeration, Reference, Typed, Value


def write_value(value: Value) -> bytes:
    """Return a value as it stands in a file. Raises `TypeError` for what no file holds."""
    if isinstance(value, Absent):
        return value.value.encode("ascii")
    if isinstance(value, str):
        return b"'%s'" % strings.encode(value)
    if isinstance(value, Reference):
        return b"#%d" % value.id
    if isinstance(value, Enumeration):
        return b".%s." % value.name.encode("ascii")
    if isinstance(value, Typed):
        return _record(value.keyword, value.parameters)
    if isinstance(value, tuple):
        return b"(%s)" % b",".join(map(write_value, value))
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return _real(value)
    raise TypeError(f"{type(value).__name__} can't be written to a Part 21 file")


def write_instance(id: int, keyword: str, *parameters: Value) -> bytes:  # noqa: A002 - the standard's word
    """Return a simple entity instance, without a line end."""
    return b"#%d=%s;" % (id, _record(keyword, parameters))


def write_complex(id: int, *parts: Typed) -> bytes:  # noqa: A002
    """Return a complex entity instance (external mapping): its parts in alphabetical order, as clause 12.2.5.3 asks."""
    ordered = sorted(parts, key=lambda part: part.keyword)
    return b"#%d=(%s);" % (id, b"".join(_record(part.keyword, part.parameters) for part in ordered))


class Numbering:
    """Instance names, given out one after the other."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids: Iterator[int] = iter(ids)
        self._lines: list[bytes] = []

    def taken(self) -> list[bytes]:
        """Return the instances that were added since the last time, in order."""
        taken, self._lines = self._lines, []
        return taken

    def add(self, keyword: str, *parameters: Value) -> Reference:
        """Add a simple instance and return the reference to it."""
        id_ = next(self._ids)
        self._lines.append(write_instance(id_, keyword, *parameters))
        return Reference(id_)

    def add_complex(self, *parts: Typed) -> Reference:
        """Add a complex instance and return the reference to it."""
        id_ = next(self._ids)
        self._lines.append(write_complex(id_, *parts))
        return Reference(id_)


def _record(keyword: str, parameters: Iterable[Value]) -> bytes:
    return b"%s(%s)" % (keyword.encode("ascii"), b",".join(map(write_value, parameters)))


def _real(value: float) -> bytes:
    """A real has a decimal point (clause 6.4.2), and an exponent with E."""
    mantissa, _, exponent = repr(value).upper().partition("E")
    if "." not in mantissa:
        mantissa += "."
    elif mantissa.endswith(".0"):
        mantissa = mantissa[:-1]
    return (f"{mantissa}E{exponent}" if exponent else mantissa).encode("ascii")
