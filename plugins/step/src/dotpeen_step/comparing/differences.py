"""The first few differences of items that changed, found by walking both files at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

from dotpeen_step.comparing.changes import Difference
from dotpeen_step.comparing.content import content
from dotpeen_step.comparing.meaning import is_unordered
from dotpeen_step.comparing.spelling import spelled
from dotpeen_step.part21 import Reference, Typed

if TYPE_CHECKING:
    from dotpeen_step.comparing.revision import Revision
    from dotpeen_step.part21 import Instance, Value

MOST_DIFFERENCES: Final = 3
"""Of one item that are told."""
_MOST_STEPS: Final = 400
"""Pairs of instances that are looked at for one item."""
_DEEPEST: Final = 64
"""References that are followed from an item on; from a solid to its points there are about ten."""
_TOGETHER: Final = 64
"""Items whose next instances are fetched at once."""

Pair: TypeAlias = tuple[int, int]
Path: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """The way through one item of both files."""

    waiting: list[tuple[Path, Pair]]
    found: list[Difference] = field(default_factory=list)
    pieces: dict[Difference, None] = field(default_factory=dict)
    """Items with UUIDs of their own that belong to it and differ."""
    seen: set[Pair] = field(default_factory=set)

    @property
    def goes_on(self) -> bool:
        return bool(self.waiting) and len(self.found) < MOST_DIFFERENCES and len(self.seen) < _MOST_STEPS

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The first few that were found, what is the item's own before its pieces."""
        return (*self.found, *self.pieces)[:MOST_DIFFERENCES]


class Differences:
    """Finds what differs between items of two revisions, whose digests are known."""

    def __init__(self, old: Revision, new: Revision) -> None:
        self._old, self._new = old, new

    def walk(self, walks: Sequence[Walk]) -> None:
        """Find the first differences of several items, breadth first, in rounds of which each reads both files once."""
        for start in range(0, len(walks), _TOGETHER):
            group = walks[start : start + _TOGETHER]
            for _ in range(_DEEPEST):
                going = [one for one in group if one.goes_on]
                if not going:
                    break
                old = self._old.fetch(pair[0] for one in going for _, pair in one.waiting)
                new = self._new.fetch(pair[1] for one in going for _, pair in one.waiting)
                for one in going:
                    self._step(one, old, new)

    def _step(self, walk: Walk, old: dict[int, Instance], new: dict[int, Instance]) -> None:
        now, walk.waiting = walk.waiting, []
        for path, pair in now:
            if pair in walk.seen or len(walk.seen) >= _MOST_STEPS:
                continue
            walk.seen.add(pair)
            one, other = old.get(pair[0]), new.get(pair[1])
            if one is None or other is None:
                told = self._old.named(pair[0]), self._new.named(pair[1])
                walk.found.append(Difference(path, "", *told))
            else:
                self._compare(walk, path, one, other)
            if len(walk.found) >= MOST_DIFFERENCES:
                return
        del walk.waiting[_MOST_STEPS:]

    def _compare(self, walk: Walk, path: Path, one: Instance, other: Instance) -> None:
        keywords = "+".join(one.keywords), "+".join(other.keywords)
        if keywords[0] != keywords[1]:
            walk.found.append(Difference(path, "entity", *keywords))
            return
        here = (*path, keywords[0])
        if content(one.raw)[0] != content(other.raw)[0]:
            walk.found.extend(_own(here, one, other))
        self._below(walk, here, one, other)
        self._places(walk, here, one.id, other.id)
        self._facts(walk, here, one.id, other.id)

    def _below(self, walk: Walk, path: Path, one: Instance, other: Instance) -> None:
        """Follow references that differ; items with UUIDs of their own are named and left to themselves."""
        left, right = list(one.references()), list(other.references())
        if is_unordered(one.keyword):
            left, right = self._unlike(left, right)
        for before, after in zip_longest(left, right):
            if before is None or after is None:
                self._name(walk, path, before, after)
            elif self._old.known(before) != self._new.known(after):
                if self._old.uuid_of(before) is None and self._new.uuid_of(after) is None:
                    walk.waiting.append((path, (before, after)))
                else:
                    self._name(walk, path, before, after)

    def _name(self, walk: Walk, path: Path, before: int | None, after: int | None) -> None:
        # What says something of the item refers to it: it was here before.
        if (before, after) not in walk.seen and len(walk.pieces) < MOST_DIFFERENCES:
            told = self._old.named(before), self._new.named(after)
            walk.pieces[Difference(path, "", *told)] = None

    def _unlike(self, left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
        """Take out of two sets what is in both, and bring those with the same UUID together."""
        right_digests = {self._new.known(one) for one in right}
        left_digests = {self._old.known(one) for one in left}
        left = [one for one in left if self._old.known(one) not in right_digests]
        right = [one for one in right if self._new.known(one) not in left_digests]
        by_uuid = {uuid: one for one in right if (uuid := self._new.uuid_of(one)) is not None}
        both = [(one, by_uuid[uuid]) for one in left if (uuid := self._old.uuid_of(one)) in by_uuid]
        paired_left, paired_right = {pair[0] for pair in both}, {pair[1] for pair in both}
        return (
            [pair[0] for pair in both] + [one for one in left if one not in paired_left],
            [pair[1] for pair in both] + [one for one in right if one not in paired_right],
        )

    def _places(self, walk: Walk, path: Path, one: int, other: int) -> None:
        before, after = self._old.places(one), self._new.places(other)
        if before != after:
            told = (", ".join(sorted(uuids)) or None for uuids in (before - after, after - before))
            walk.found.append(Difference(path, "applies to", *told))

    def _facts(self, walk: Walk, path: Path, one: int, other: int) -> None:
        """Follow what other instances say of the item: values, tolerances, zones."""
        before, after = dict(self._old.said(one)), dict(self._new.said(other))
        left = [number for number, known in before.items() if known not in after.values()]
        right = [number for number, known in after.items() if known not in before.values()]
        for old, new in zip_longest(left, right):
            if old is None or new is None:
                self._name(walk, path, old, new)
            else:
                walk.waiting.append((path, (old, new)))


def _own(path: Path, one: Instance, other: Instance) -> Iterator[Difference]:
    """Yield the parameters of two instances of one entity that differ by themselves."""
    for before, after in zip(one.parts, other.parts, strict=True):
        within = path if len(one.parts) == 1 else (*path[:-1], before.keyword)
        for place, (old, new) in enumerate(
            zip_longest(before.parameters, after.parameters, fillvalue=None), start=1
        ):
            if old is None or new is None:
                yield Difference(
                    within, str(place), *(None if one is None else spelled(one) for one in (old, new))
                )
            elif not _alike(old, new):
                yield Difference(within, str(place), spelled(old), spelled(new))


def _alike(old: Value, new: Value) -> bool:
    """Tell whether two values are the same, references aside; nothing recurs."""
    waiting = [(old, new)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, Typed) and isinstance(other, Typed) and one.keyword == other.keyword:
            waiting.append((one.parameters, other.parameters))
        elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
            waiting.extend(zip(one, other, strict=True))
        elif not (one == other or (isinstance(one, Reference) and isinstance(other, Reference))):
            return False
    return True
