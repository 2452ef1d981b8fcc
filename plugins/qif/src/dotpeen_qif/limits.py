"""How much a QIF document may ask of the machine that reads it, and the error that refuses one.

The limits stop what is made to exhaust memory or time, not what is merely large: the defaults let through a
document of three million measurements. Reading holds no tree, so its memory is that of what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from dotpeen.errors import DotpeenError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a document may have at most."""

    size: int = 2 * 1024**3
    """Bytes of the file."""
    depth: int = 128
    """Elements within each other. libxml2, which checks against the schema, has a limit of 256 of its own."""
    elements: int = 100_000_000
    held: int = 4_000_000
    """Elements of the parts that are kept or checked as a whole: definitions, products, devices, actuals."""
    record: int = 200_000
    """Elements of one such part."""
    tag: int = 1024**2
    """Bytes of one tag with its attributes, or of one comment or processing instruction."""
    text: int = 1024**2
    """Characters of one element's text, where the text is read: geometry and binary data are skipped."""
    names: int = 20_000
    """Different names of elements, attributes and namespace prefixes; QIF has about 3 000."""


DEFAULT_LIMITS = Limits()


class QifDocumentError(DotpeenError):
    """A file is no QIF document that can be read; says where, and what to do about it.

    `line` is None where the file as a whole is meant.
    """

    def __init__(self, file: str, line: int | None, reason: str, *, hint: str | None = None) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {reason}", hint=hint)


class QifFileError(QifDocumentError):
    """A file is not there, can't be opened, or isn't one."""

    exit_code = 2


class QifLimitError(QifDocumentError):
    """A document is larger, deeper or otherwise more than the limits allow, and was not read to its end."""
