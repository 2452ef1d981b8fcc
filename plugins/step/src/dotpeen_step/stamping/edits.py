"""Edits of a file as data: which bytes give way to which others. Everything between them stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `offset` to `end` (exclusive) are replaced by `text`; an insertion where they are equal."""

    offset: int
    end: int
    text: bytes

    @classmethod
    def insert(cls, offset: int, text: bytes) -> Edit:
        """Return an edit that replaces nothing."""
        return cls(offset, offset, text)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the original that are taken over, from `offset` to `end` (exclusive)."""

    offset: int
    end: int


def pieces(size: int, edits: Iterable[Edit]) -> Iterator[Span | bytes]:
    """Yield what an edited file of `size` bytes consists of, in order; nothing empty.

    Insertions at one place follow each other in the order given. Raises `ValueError` for edits that overlap or are
    outside of the file.
    """
    reached = 0
    for edit in sorted(edits, key=lambda one: one.offset):
        if edit.offset < reached or edit.end < edit.offset or edit.end > size:
            raise ValueError(
                f"edit of bytes {edit.offset} to {edit.end}: it overlaps another, or the file's end"
            )
        if edit.offset > reached:
            yield Span(reached, edit.offset)
        if edit.text:
            yield edit.text
        reached = edit.end
    if reached < size:
        yield Span(reached, size)


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """Return what a file of this content is after the edits."""
    return b"".join(
        piece if isinstance(piece, bytes) else content[piece.offset : piece.end]
        for piece in pieces(len(content), edits)
    )
