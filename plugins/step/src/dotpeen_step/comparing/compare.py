"""Compare two files by their UUIDs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from dotpeen_step.comparing.changes import (
    Change,
    Comparison,
    Difference,
    Identified,
    Outcome,
    ProductChange,
)
from dotpeen_step.comparing.differences import Differences, Walk
from dotpeen_step.comparing.revision import Revision, texts
from dotpeen_step.part21 import Part21File

MOST_EXPLAINED: Final = 200
"""Changed items whose differences are looked for, unless more are asked for."""
_ORDER: Final = {outcome: place for place, outcome in enumerate(Outcome)}
_TEXTS: Final = ("id", "name", "description", "revision")


def compare(
    old: Path,
    new: Path,
    *,
    explained: int = MOST_EXPLAINED,
    progress: Callable[[str, int], None] | None = None,
) -> Comparison:
    """Tell what became of every UUID of one file in another.

    Reads each file twice. Memory grows with the instances of a file (34 bytes each, and 4 for each reference, for one
    file at a time; 12 bytes each for both) and with the UUIDs; not with the bytes. `explained`: of how many changed
    items differences are looked for. `progress` is told a file's name and the bytes done. Raises `Part21Error`.
    """
    told = _progress(progress)
    with Part21File.open(old) as before, Part21File.open(new) as after:
        one, other = Revision(before, told(old)), Revision(after, told(new))
        common = sorted(uuid for uuid in one.uuids if uuid in other)
        digests = zip(one.digest(common, told(old)), other.digest(common, told(new)), strict=True)
        kept = {uuid for uuid, (left, right) in zip(common, digests, strict=True) if left == right}
        return _Comparing(one, other, common, kept).result(explained)


class _Comparing:
    """Two revisions whose common UUIDs are known, and which of them are kept."""

    def __init__(self, old: Revision, new: Revision, common: Sequence[bytes], kept: set[bytes]) -> None:
        self._old, self._new = old, new
        self._common, self._kept = common, kept

    def result(self, explained: int) -> Comparison:
        own = self._revision_uuids()
        changes = [change for change in self._changes() if change.uuid not in own]
        changes.sort(key=lambda change: (_ORDER[change.outcome], self._place(change)))
        changed = [number for number, one in enumerate(changes) if one.outcome is Outcome.CHANGED][:explained]
        for number, differences in zip(
            changed, self._explain([changes[one] for one in changed]), strict=True
        ):
            one = changes[number]
            changes[number] = Change(one.uuid, one.outcome, one.old, one.new, differences)
        return Comparison(self._old.file, self._new.file, tuple(self._products(changes)), tuple(changes))

    def _revision_uuids(self) -> set[str]:
        """UUIDs that tell one revision from the other."""
        before, after = (
            {uuid for one in revision.products for uuid in one.revision_uuids("")}
            for revision in (self._old, self._new)
        )
        return {uuid for uuid in before | after if not self._in_both(uuid)}

    def _in_both(self, uuid: str) -> bool:
        packed = UUID(uuid).bytes
        return packed in self._old and packed in self._new

    def _changes(self) -> Iterator[Change]:
        for uuid in self._common:
            old, new = self._old.identified(uuid), self._new.identified(uuid)
            yield Change(str(UUID(bytes=uuid)), self._outcome(uuid, old, new), old, new)
        for uuid in self._old.uuids:
            if uuid not in self._new:
                yield Change(str(UUID(bytes=uuid)), Outcome.REMOVED, self._old.identified(uuid), None)
        for uuid in self._new.uuids:
            if uuid not in self._old:
                yield Change(str(UUID(bytes=uuid)), Outcome.ADDED, None, self._new.identified(uuid))

    def _outcome(self, uuid: bytes, old: Identified, new: Identified) -> Outcome:
        if uuid in self._kept:
            return Outcome.KEPT
        return Outcome.CHANGED if _of_one_kind(old, new) else Outcome.MOVED

    def _place(self, change: Change) -> tuple[int, int]:
        uuid = UUID(change.uuid).bytes
        return (1, self._new.place(uuid)) if uuid in self._new else (0, self._old.place(uuid))

    def _explain(self, changes: Sequence[Change]) -> Iterable[Sequence[Difference]]:
        walks = [self._walk(change) for change in changes]
        Differences(self._old, self._new).walk(walks)
        return (walk.differences for walk in walks)

    def _walk(self, change: Change) -> Walk:
        uuid = UUID(change.uuid).bytes
        one, other = self._old.product(uuid), self._new.product(uuid)
        if one is not None and other is not None:
            found = [
                Difference(("PRODUCT",), name, before, after)
                for name, before, after in zip(_TEXTS, texts(one), texts(other), strict=True)
                if before != after
            ]
            shapes = zip(self._old.shape(one), self._new.shape(other), strict=False)
            return Walk([((change.item.keyword,), pair) for pair in shapes], found)
        if change.old is None or change.new is None or not change.old.ref or not change.new.ref:
            return Walk([])
        if change.old.also or change.new.also:
            told = (
                "1 item" if not item.also else f"{1 + item.also} items" for item in (change.old, change.new)
            )
            return Walk([], [Difference((change.item.keyword,), "identifies", *told)])
        return Walk([((), (change.old.ref, change.new.ref))])

    def _products(self, changes: Sequence[Change]) -> Iterator[ProductChange]:
        pairs = _paired(self._old, self._new, changes)
        rest = ProductChange(None, None)
        found: dict[tuple[str, int | None], ProductChange] = {
            **{("old", old): one for old, _, one in pairs if old is not None},
            **{("new", new): one for _, new, one in pairs if new is not None},
        }
        for change in changes:
            side, product = ("new", change.new.product) if change.new else ("old", change.item.product)
            found.get((side, product), rest).counts[change.outcome] += 1
        yield from (one for _, _, one in pairs)
        if rest.counts:
            yield rest


def _paired(
    old: Revision, new: Revision, changes: Iterable[Change]
) -> list[tuple[int | None, int | None, ProductChange]]:
    """Return the products of both files, each with the one that continues it: with most UUIDs in common, or by id."""
    common: Counter[tuple[int, int]] = Counter()
    for change in changes:
        if change.old and change.new and change.old.product is not None and change.new.product is not None:
            common[change.old.product, change.new.product] += 1
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for before, after in [*(pair for pair, _ in common.most_common()), *_same_ids(old, new)]:
        if before not in pairs and after not in taken:
            pairs[before] = after
            taken.add(after)
    found: list[tuple[int | None, int | None, ProductChange]] = []
    for place in range(len(old.products)):
        other = pairs.get(place)
        told = None if other is None else new.told(other)
        found.append((place, other, ProductChange(old.told(place), told)))
    found += [
        (None, place, ProductChange(None, new.told(place)))
        for place in range(len(new.products))
        if place not in taken
    ]
    return found


def _same_ids(old: Revision, new: Revision) -> Iterator[tuple[int, int]]:
    def by_id(revision: Revision) -> Mapping[str, list[int]]:
        places: dict[str, list[int]] = {}
        for place, one in enumerate(revision.products):
            places.setdefault(one.product.id, []).append(place)
        return places

    others = by_id(new)
    for number, places in by_id(old).items():
        yield from zip(places, others.get(number, ()), strict=False)


def _of_one_kind(old: Identified, new: Identified) -> bool:
    """Tell whether two items can be the same one in two revisions: another curve, but no edge that was a face."""
    if (
        not old.keyword
        or not new.keyword
        or not set(old.keyword.split("+")).isdisjoint(new.keyword.split("+"))
    ):
        return True
    return old.kind == new.kind and old.kind in ("product", "geometry")


def _progress(
    progress: Callable[[str, int], None] | None,
) -> Callable[[Path], Callable[[int], None] | None]:
    def of(path: Path) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(path.name, done)

    return of
