"""One quick look over a whole file for everything that stamping needs of it.

Bytes are searched, nothing is taken apart but the few instances of products. All apostrophes are counted, so that it is
known of each place whether it is in a string. Where comments or resources may have others, or a statement is very long,
the file is searched again (`Part21File.find`), which takes twice as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from dotpeen_step.inspection.kinds import DEFINITIONS, FORMATIONS, SHAPES
from dotpeen_step.part21 import grammar
from dotpeen_step.part21.errors import Part21Error
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.instance import Instance

KEYWORDS: Final = frozenset({"PRODUCT"}) | FORMATIONS | DEFINITIONS | SHAPES
CONTEXT: Final = "GEOMETRIC_REPRESENTATION_CONTEXT"
BLOCK: Final = 1 << 18
"""Bytes that stay in the processor's cache while they are searched several times."""
_PRODUCT: Final = b"PRODUCT"
_FAMILY: Final = re.compile(rb"PRODUCT(?:_DEFINITION[A-Z_]*+)?+[\x00-\x20]*+\(")
_CONTEXT: Final = re.compile(CONTEXT.encode())
_HINT: Final = b"PRODUCT_DEFINITION"
"""What every block with a product has: its formation, definition or shape is near it."""
_RESOURCE: Final = re.compile(rb"<[^<>\r\n;']*+[;']")
_LARGEST: Final = 1 << 22


class _DoubtError(Exception):
    """What stands in the file may not be what it seems."""


@dataclass(slots=True)
class Sweep:
    """What was seen."""

    products: dict[int, Instance] = field(default_factory=dict)
    """PRODUCTs, their formations, definitions and shapes, by their offsets."""
    context: int | None = None
    """A context of representations in three dimensions."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each text occurs."""
    doubtful: bool = False
    """The file was searched twice, and where its strings end isn't known."""


def sweep(file: Part21File, uuids: Collection[str], name: str, *, block: int = BLOCK) -> Sweep:
    """Look over a file, and count some UUIDs and a name. Raises `Part21Error`, where a string has no end, too."""
    needles = [*map(Needle, dict.fromkeys(uuids)), Needle(name, exact=True)]
    found = Sweep(counts={needle.text: 0 for needle in needles})
    look = _Look(found)
    for piece in _pieces(file, block, max(len(needle.text) for needle in needles) - 1):
        for needle in needles:
            found.counts[needle.text] += needle.count(piece.text, piece.fresh)
        look.at(piece)
    if look.in_string and not look.doubtful:
        raise Part21Error(file.name, "a string has no end", hint="the file may be cut off; export it again")
    found.doubtful = look.doubtful
    if look.doubtful or not _complete(found.products.values()):
        found.products = {one.offset: one for one in file.find(KEYWORDS)}
        found.context = next((one.id for one in file.find(frozenset({CONTEXT})) if _is_solid(one)), None)
    return found


class Needle:
    """A text that is looked for: ASCII, in capital or small letters, or `exact`.

    Where it has a run of digits and marks that is long enough, only this is searched for, and the rest looked at where
    it is found: that is several times faster than to search without regard to case.
    """

    _RUN: Final = re.compile(r"[^A-Za-z]+")
    _SHORTEST: Final = 4

    def __init__(self, text: str, *, exact: bool = False) -> None:
        self.text = text
        self._exact = text.encode("ascii") if exact else None
        run = max(self._RUN.finditer(text), key=lambda one: len(one[0]), default=None)
        self._run = run if run is not None and len(run[0]) >= self._SHORTEST else None
        self._key = (self._run[0] if self._run else text.lower()).encode("ascii")
        self._whole = text.lower().encode("ascii")

    def count(self, text: bytes, fresh: int) -> int:
        """Return how often it occurs in `text`, without what ends before `fresh`."""
        before = max(0, fresh - len(self._whole) + 1)
        if self._exact is not None:
            return text.count(self._exact, before)
        if self._run is None:
            return text[before:].lower().count(self._whole)
        count, start = 0, self._run.start()
        place = text.find(self._key, before + start)
        while place >= 0:
            begin = place - start
            count += text[begin : begin + len(self._whole)].lower() == self._whole
            place = text.find(self._key, place + 1)
        return count


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the file that begins behind a semicolon and holds one, if it can."""

    offset: int
    text: bytes
    fresh: int
    """What comes before it was the end of the piece before."""
    in_string: bool
    """It begins in a string."""
    whole: bool
    """Nothing is missing between it and the piece before."""
    ends_in_string: bool


def _pieces(file: Part21File, block: int, kept: int) -> Iterator[_Piece]:
    """Yield the pieces of a file; of a statement that is too long for one, the last `kept` bytes at least."""
    rest, in_string, whole = b"", False, True
    for position in range(file.header.end, file.size, block):
        text = rest + file.read(position, block)
        cut = text.rfind(b";") + 1
        is_longer = len(text) - cut > _LARGEST
        if is_longer:
            cut = len(text) - kept
        before = in_string ^ bool(text.count(b"'", 0, cut) & 1)
        after = before ^ bool(text.count(b"'", cut) & 1)
        yield _Piece(position - len(rest), text, len(rest), in_string, whole, after)
        rest, in_string, whole = text[cut:], before, not is_longer


class _Look:
    """Takes products and the context from pieces, as long as there is no doubt."""

    def __init__(self, found: Sweep) -> None:
        self._found = found
        self._before: _Piece | None = None
        """The piece before, where nothing was taken from it."""
        self._near = False
        """Something of a product was in the piece before."""
        self.doubtful = False
        self.in_string = False
        """The last piece ended in a string."""

    def at(self, piece: _Piece) -> None:
        """Look at the next piece."""
        self.in_string = piece.ends_in_string
        if self.doubtful:
            return
        try:
            self._look(piece)
        except _DoubtError:
            self.doubtful = True

    def _look(self, piece: _Piece) -> None:
        text = piece.text
        if not piece.whole or (b"/" in text and (b"/*" in text or b"*/" in text)):
            raise _DoubtError
        if b"<" in text and _RESOURCE.search(text):
            raise _DoubtError
        near = _HINT in text
        if near and self._before is not None:
            self._products(self._before)
        if near or self._near:
            self._products(piece)
        self._before = None if near or self._near else piece
        self._near = near
        if self._found.context is None:
            self._context(piece)

    def _products(self, piece: _Piece) -> None:
        for instance in _instances(piece, _PRODUCT, _FAMILY):
            if KEYWORDS.intersection(instance.keywords):
                self._found.products.setdefault(instance.offset, instance)

    def _context(self, piece: _Piece) -> None:
        solid = (one for one in _instances(piece, CONTEXT.encode(), _CONTEXT) if _is_solid(one))
        self._found.context = next((one.id for one in solid), None)


def _instances(piece: _Piece, word: bytes, pattern: re.Pattern[bytes]) -> Iterator[Instance]:
    """Yield the instances in which a word stands outside of strings, where what follows it fits.

    Raises `_DoubtError` where one can't be told from what is around it.
    """
    text = piece.text
    known, in_string = 0, piece.in_string
    end = text.rfind(b";") + 1
    place = text.find(word, 0, end)
    while place >= 0:
        if pattern.match(text, place):
            begin = text.rfind(b";", known, place) + 1 or known
            in_string ^= bool(text.count(b"'", known, begin) & 1)
            known = begin
            if in_string == bool(text.count(b"'", begin, place) & 1):
                yield _instance(piece, begin, place, in_string=in_string)
        place = text.find(word, place + 1, end)


def _instance(piece: _Piece, begin: int, place: int, *, in_string: bool) -> Instance:
    """Return the instance that begins behind a semicolon and goes beyond a place. Raises `_DoubtError`."""
    found = None if in_string else grammar.INSTANCE.match(piece.text, begin)
    if found is None or found.end() <= place:
        raise _DoubtError
    raw = piece.text[found.start(1) : found.end()]
    keyword = (found[3] or b"").decode("ascii").upper()
    return Instance(int(found[2]), piece.offset + found.start(1), keyword, raw)


def _complete(instances: Collection[Instance]) -> bool:
    """Tell whether what formations, definitions and shapes refer to is there, as far as it is a product's."""
    there = {one.id for one in instances}
    links = (one for one in instances if set(one.keywords) & FORMATIONS)
    return bool(instances) and all(there.intersection(one.references()) for one in links)


def _is_solid(instance: Instance) -> bool:
    return instance.part(CONTEXT) == (3,)
