"""Which instances are wanted, by keyword or by name, and where they are in a text.

The text is right, begins between statements and has nothing in comments, strings or resources that looks like
something else (`dotpeen_step.part21.masking`), or at most semicolons, parentheses and instances in strings: those
are told from others by the number of apostrophes before them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final, Protocol, TypeAlias

from dotpeen_step.part21 import limits

Found: TypeAlias = tuple[int, int, int, bytes]
"""Where an instance begins and ends in a text, its number, and the keyword of a simple one."""

_BODY: Final = rb"[^';]*+(?:'[^']*+'[^';]*+)*+;"
_REST: Final = re.compile(_BODY)
_DIGITS: Final = limits.NAME_DIGITS
_EACH: Final = re.compile(rb"#([0-9]++)[\x00-\x20]*+=[\x00-\x20]*+(!?[A-Za-z_][A-Za-z0-9_]*+)?+%s" % _BODY)
_NAME: Final = re.compile(rb"#([0-9]++)[\x00-\x20]*+")
_DEFINITION: Final = re.compile(rb"#([0-9]++)[\x00-\x20]*+=")
_HEAD: Final = re.compile(
    rb"#([0-9]++)[\x00-\x20]*+=[\x00-\x20]*+(!?[A-Za-z_][A-Za-z0-9_]*+)?+[\x00-\x20]*+\("
)
_KEYWORD: Final = re.compile(rb"=[\x00-\x20]*+(!?[A-Za-z_][A-Za-z0-9_]*+)?+[\x00-\x20]*+\(")
_FASTER: Final = 5


class Selection(Protocol):
    """Finds instances in a text."""

    def found(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """Yield those between two places, in order; complex ones perhaps without need."""

    def possible(self, text: bytes) -> bool:
        """Tell, faster than `found` does, whether there may be any."""


class Everything:
    """All instances."""

    def found(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """Yield all instances."""
        for found in _EACH.finditer(text, start, end):
            yield found.start(), found.end(), int(found[1][-_DIGITS:]), found[2] or b""

    def possible(self, text: bytes) -> bool:
        """There may be some anywhere."""
        return bool(text)


class ByKeyword:
    """Simple instances with one of some keywords, and complex ones that may have such a part."""

    def __init__(self, keywords: frozenset[str]) -> None:
        names = sorted((keyword.encode("ascii", "replace") for keyword in keywords), reverse=True)
        self._shortest = [
            name for name in names if not any(other in name for other in names if other != name)
        ]
        any_of = _any_of(names)
        self._pattern = re.compile(rb"=[\x00-\x20]*+(?:(%s)(?![A-Za-z0-9_])[\x00-\x20]*+)?+\(" % any_of)
        self._part = re.compile(rb"(?:%s)[\x00-\x20]*+\(" % any_of)

    def found(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """Yield the instances with these keywords."""
        outside = start  # a place in no string: behind it, an even number of apostrophes leads to another
        for candidate in self._pattern.finditer(text, start, end):
            place = candidate.start()
            if place < outside or text.count(b"'", outside, place) & 1:
                continue
            begin = text.rfind(b"#", outside, place)
            name = _NAME.fullmatch(text, begin, place) if begin >= 0 else None
            rest = _REST.match(text, candidate.end(), end)
            if name is None or rest is None:  # an anchor, a reference
                continue
            outside = rest.end()
            keyword = candidate[1] or b""
            if keyword or self._part.search(text, place, outside):
                yield begin, outside, int(name[1][-_DIGITS:]), keyword

    def possible(self, text: bytes) -> bool:
        """Look for the keywords alone, while that is faster than to look for everything that may have one."""
        return len(self._shortest) > _FASTER or any(name in text for name in self._shortest)


def _any_of(words: Collection[bytes]) -> bytes:
    """Return the expression of any of some words, the longest that fits.

    Each beginning that words share is looked at once: a third of the time of one alternative for each of a hundred.
    """
    if not words:
        return b"(?!)"
    rest: dict[bytes, list[bytes]] = {}
    for word in filter(None, words):
        rest.setdefault(word[:1], []).append(word[1:])
    branches = b"|".join(re.escape(first) + _any_of(ends) for first, ends in sorted(rest.items()))
    if len(rest) == 1 and b"" not in words:
        return branches
    return b"(?:%s)%s" % (branches, b"?+" if b"" in words else b"") if rest else b""


class InOrder:
    """Instances with one of some names, in a file that has them in the order of their numbers.

    `left` holds the names that were not found: they are elsewhere, or stand before smaller ones.
    """

    def __init__(self, names: Collection[int]) -> None:
        self.left = sorted(names, reverse=True)

    def found(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """Yield the instances with the next of these names."""
        outside = place = (
            start  # behind `outside`, which is in no string, an odd number of apostrophes opens one
        )
        while self.left:
            digits = b"%d" % self.left[-1]
            place = text.find(b"#" + digits, place, end)
            if place < 0:
                return
            head = _HEAD.match(text, place, end)
            if head is None or head[1] != digits or text.count(b"'", outside, place) & 1:
                place += 1
                continue
            rest = _REST.match(text, head.end(), end)
            if rest is None:
                return
            number = self.left.pop()
            yield place, rest.end(), number, head[2] or b""
            outside = place = rest.end()

    def possible(self, text: bytes) -> bool:
        """Any text may have them, as long as some are left."""
        return bool(self.left)


class ByName:
    """Instances with one of some names, wherever they are: every instance's name is looked at."""

    def __init__(self, names: Collection[int]) -> None:
        # As they are written, so that the names of all other instances need not become numbers.
        self._names = frozenset(b"%d" % name for name in names)

    def found(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """Yield the instances with these names."""
        outside = start  # a place in no string: behind it, an even number of apostrophes leads to another
        for head in self._heads(text, start, end):
            place = head.start()
            if place < outside or text.count(b"'", outside, place) & 1:
                continue
            keyword = _KEYWORD.match(text, head.end() - 1, end)
            rest = _REST.match(text, head.end(), end)
            if keyword is None or rest is None:  # an anchor, a reference
                continue
            outside = rest.end()
            yield place, outside, int(head[1][-_DIGITS:]), keyword[1] or b""

    def _heads(self, text: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
        """Yield what looks like the head of one of these instances, in a string perhaps."""
        names = self._names
        if b"#0" in text:  # names with zeros before them
            for head in _DEFINITION.finditer(text, start, end):
                if (head[1].lstrip(b"0") or b"0") in names:
                    yield head
            return
        # Nearly all instances are others: no match is made of those.
        place = start
        for digits in [digits for digits in _DEFINITION.findall(text, start, end) if digits in names]:
            wanted = None
            while wanted is None or wanted[1] != digits:
                place = text.index(b"#" + digits, place)
                wanted = _DEFINITION.match(text, place, end)
                place += 1
            yield wanted

    def possible(self, text: bytes) -> bool:
        """Any text may have them."""
        return bool(self._names)
