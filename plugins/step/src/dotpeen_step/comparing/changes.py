"""What `dotpeen step diff` finds, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What became of a UUID."""

    KEPT = "kept"
    """It identifies what it did."""
    CHANGED = "changed"
    """What it identifies, or something that belongs to it, is different."""
    MOVED = "moved"
    """It identifies another kind of item: a conflict."""
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of an item."""

    path: tuple[str, ...]
    """From the item down to what is different, by entity."""
    attribute: str
    """The attribute's place, from 1, or what else is different: `value`, `applies to`, `name`."""
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Identified:
    """What a UUID identifies in one of the files."""

    ref: int | None
    """Instance name; None where the carrier names no item of the file."""
    keyword: str
    name: str
    kind: str
    product: int | None
    """The place of its product among those of the file."""
    also: int = 0
    """How many other items the UUID identifies as well, which it shouldn't."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one UUID; `old` and `new` are what it identifies, None where it isn't there."""

    uuid: str
    outcome: Outcome
    old: Identified | None
    new: Identified | None
    differences: Sequence[Difference] = ()
    """The first few. A changed item without any was one of too many, or what differs is too far away."""

    @property
    def item(self) -> Identified:
        """What it identifies in the newer file that has it."""
        item = self.new or self.old
        if item is None:
            raise ValueError("a change is of something")
        return item


@dataclass(frozen=True, slots=True)
class File:
    """One of the two files."""

    name: str
    sha256: str
    size: int
    schemas: tuple[str, ...]
    originating_system: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product of one of the files."""

    id: str
    """PRODUCT.id: the part number."""
    name: str
    revision: str
    ref: int
    """Instance name of the PRODUCT."""
    uuids: tuple[str, ...]
    """Of this revision: one where the file is clear."""


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A product of OLD and the one of NEW that continues it; either may be missing, both for items of no product."""

    old: Product | None
    new: Product | None
    counts: Counter[Outcome] = field(default_factory=Counter)
    """How many UUIDs of each outcome, those of the revisions left out."""

    @property
    def persisting(self) -> int:
        """How many UUIDs both have."""
        return sum(self.counts[one] for one in (Outcome.KEPT, Outcome.CHANGED, Outcome.MOVED))

    @property
    def overlap(self) -> float | None:
        """The share of OLD's UUIDs that NEW has, too: evidence that it is a revision of it. None without any."""
        before = self.persisting + self.counts[Outcome.REMOVED]
        return self.persisting / before if before else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that became of the UUIDs of one file in another."""

    old: File
    new: File
    products: tuple[ProductChange, ...]
    """The last is that of items whose product the files don't tell, where there are any."""
    changes: tuple[Change, ...]
    """By outcome, in the order of the files. The UUIDs of revisions are not among them, unless both have them."""

    @property
    def counts(self) -> Counter[Outcome]:
        """How many UUIDs of each outcome."""
        return Counter(change.outcome for change in self.changes)
