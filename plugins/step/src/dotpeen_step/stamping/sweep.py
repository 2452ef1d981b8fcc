"""One quick look over a whole file for everything that stamping needs of it.

Bytes are searched, nothing is taken apart but the few instances of products. Whether these are what they seem, and not
a part of a string or a comment, is made sure of by what stands around them; where that leaves a doubt, the file is
searched again with all its apostrophes counted (`Part21File.find`), which takes twice as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from dotpeen_step.inspection.kinds import DEFINITIONS, FORMATIONS, SHAPES
from dotpeen_step.part21 import grammar
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.instance import Instance

KEYWORDS: Final = frozenset({"PRODUCT"}) | FORMATIONS | DEFINITIONS | SHAPES
CONTEXT: Final = "GEOMETRIC_REPRESENTATION_CONTEXT"
BLOCK: Final = 1 << 18
"""Bytes that stay in the processor's cache while they are searched several times."""
_PRODUCT: Final = b"PRODUCT"
_FAMILY: Final = re.compile(rb"PRODUCT(?:_DEFINITION[A-Z_]*+)?+[\x00-\x20]*+\(")
_HINT: Final = b"PRODUCT_DEFINITION"
"""What every block with a product has: its formation, definition or shape is near it."""
_ALONE: Final = re.compile(rb"(?<!')'(?!')")
_LOOKED_BACK: Final = 20
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


def sweep(file: Part21File, uuids: Collection[str], name: str, *, block: int = BLOCK) -> Sweep:
    """Look over a file, and count some UUIDs and a name. Raises `Part21Error`."""
    needles = [*map(Needle, dict.fromkeys(uuids)), Needle(name, exact=True)]
    found = Sweep(counts={needle.text: 0 for needle in needles})
    look = _Look(found)
    for piece in _pieces(file, block):
        for needle in needles:
            found.counts[needle.text] += needle.count(piece.text, piece.fresh)
        look.at(piece)
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
    _SHORTEST: Final = 5

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


def _pieces(file: Part21File, block: int) -> Iterator[_Piece]:
    rest = b""
    for position in range(file.header.end, file.size, block):
        text = rest + file.read(position, block)
        yield _Piece(position - len(rest), text, len(rest))
        cut = text.rfind(b";") + 1
        rest = text[cut:] if len(text) - cut < _LARGEST else b""


class _Look:
    """Takes products and the context from pieces, as long as there is no doubt."""

    def __init__(self, found: Sweep) -> None:
        self._found = found
        self._before: _Piece | None = None
        """The piece before, where nothing was taken from it."""
        self._near = False
        """Something of a product was in the piece before."""
        self.doubtful = False

    def at(self, piece: _Piece) -> None:
        """Look at the next piece."""
        if self.doubtful:
            return
        try:
            self._look(piece)
        except _DoubtError:
            self.doubtful = True

    def _look(self, piece: _Piece) -> None:
        text = piece.text
        if b"/" in text and (b"/*" in text or b"*/" in text):
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
        for place in _places(piece.text, _PRODUCT):
            if _FAMILY.match(piece.text, place):
                instance = _instance(piece, place)
                if KEYWORDS.intersection(instance.keywords):
                    self._found.products.setdefault(instance.offset, instance)

    def _context(self, piece: _Piece) -> None:
        for place in _places(piece.text, CONTEXT.encode()):
            instance = _instance(piece, place)
            if _is_solid(instance):
                self._found.context = instance.id
                return


def _places(text: bytes, word: bytes) -> Iterator[int]:
    """Yield where a word stands in whole statements of a text."""
    end = text.rfind(b";") + 1
    place = text.find(word, 0, end)
    while place >= 0:
        yield place
        place = text.find(word, place + 1, end)


def _instance(piece: _Piece, place: int) -> Instance:
    """Return the instance that a place in a piece is in. Raises `_DoubtError`."""
    text = piece.text
    begin = text.rfind(b";", 0, place) + 1
    found = grammar.INSTANCE.match(text, begin)
    if found is None or found.end() <= place:
        raise _DoubtError
    raw = text[found.start(1) : found.end()]
    if b"'''" in raw or not _is_outside(text, begin, raw):
        raise _DoubtError
    keyword = (found[3] or b"").decode("ascii").upper()
    return Instance(int(found[2]), piece.offset + found.start(1), keyword, raw)


def _is_outside(text: bytes, begin: int, raw: bytes) -> bool:
    """Tell whether an instance is in no string: there, apostrophes come in pairs only.

    One that has nothing but empty strings is known by those before it.
    """
    for _ in range(_LOOKED_BACK):
        if _ALONE.search(raw):
            return True
        if begin <= 1:
            return True
        end, begin = begin, text.rfind(b";", 0, begin - 1) + 1
        raw = text[begin:end]
        if begin > 0 and not grammar.INSTANCE.fullmatch(raw):
            return bool(_SECTION.fullmatch(raw))
    return True


_SECTION: Final = re.compile(rb"[\x00-\x20]*+(?:DATA|ENDSEC|ANCHOR|REFERENCE)[\x00-\x20]*+;")


def _complete(instances: Collection[Instance]) -> bool:
    """Tell whether what formations, definitions and shapes refer to is there, as far as it is a product's."""
    there = {one.id for one in instances}
    links = (one for one in instances if set(one.keywords) & FORMATIONS)
    return bool(instances) and all(there.intersection(one.references()) for one in links)


def _is_solid(instance: Instance) -> bool:
    return instance.part(CONTEXT) == (3,)
