"""Carry links over: parts that the older file is linked to, and the newer revision that continues it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from dotpeen import Records
from dotpeen.database import Connection
from dotpeen.errors import DotpeenError
from dotpeen_step.comparing.changes import Comparison, ProductChange
from dotpeen_step.inspection import inspect
from dotpeen_step.linking import links
from dotpeen_step.linking.files import known_file
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.link import Choice, facts_of, link_within, lock_all
from dotpeen_step.linking.parts import Part, find_part

if TYPE_CHECKING:
    from dotpeen_step.inspection.collecting import Progress

State: TypeAlias = Literal["proposed", "unclear", "linked", "carried"]
_ENOUGH = 0.5
"""Share of UUIDs that two revisions of one product have in common at least; real ones have nearly all."""


@dataclass(frozen=True, slots=True)
class Carry:
    """A part that the older file is linked to, and what is proposed for the newer one."""

    part: Part
    product: ProductChange
    state: State
    reason: str
    """What speaks for it, or against."""


def is_revision(change: ProductChange) -> bool:
    """Tell whether the UUIDs speak for the new product being a revision of the old one."""
    return change.overlap is not None and change.overlap >= _ENOUGH


def proposals(records: Records, comparison: Comparison, *, column: str | None) -> Sequence[Carry]:
    """Return what is proposed for each part that a product of the older file is linked to.

    A file is known by its content, or by the UUIDs of its revisions. Raises what `find_part` does, and
    `ConfigurationError` where the role may not read the links.
    """
    with records.transaction() as within:
        connection = within.connection
        if not SCHEMA.installed(connection):
            return ()
        found = list(_linked(connection, comparison))
        newer = known_file(connection, bytes.fromhex(comparison.new.sha256))
        there = frozenset() if newer is None else links.parts_of(connection, newer)
    carried = []
    for part, change in found:
        one = Carry(find_part(records, part, column), change, *_judged(change))
        carried.append(
            replace(one, state="linked", reason="is linked to it already") if part in there else one
        )
    return carried


def carry(
    records: Records,
    new: Path,
    comparison: Comparison,
    proposed: Sequence[Carry],
    *,
    column: str | None,
    by: str,
    progress: Progress | None = None,
) -> Sequence[Carry]:
    """Link the newer file to the parts of all that is proposed, or, after an error, to none.

    Raises what `link_file` does, and `DotpeenError` for a file that is no longer the one that was compared.
    """
    certain = [one for one in proposed if one.state == "proposed"]
    if not certain:
        return proposed
    inspection = inspect(new, progress=progress)
    if inspection.sha256 != comparison.new.sha256:
        raise DotpeenError(f"{new} was written to after it was compared", hint="compare again")
    facts = facts_of(inspection)
    with records.transaction() as within:
        uuids = {uuid for one in certain if one.product.new for uuid in one.product.new.uuids}
        lock_all(within, [one.part for one in certain], uuids, column)
        for one in certain:
            choice = Choice(product=f"#{one.product.new.ref}") if one.product.new else Choice()
            link_within(within, inspection, facts, one.part, column=column, by=by, choice=choice)
    return [replace(one, state="carried") if one.state == "proposed" else one for one in proposed]


def _linked(connection: Connection, comparison: Comparison) -> Iterator[tuple[str, ProductChange]]:
    """Yield the parts that the older file is linked to, each with the product that it is."""
    products = [one for one in comparison.products if one.old is not None]
    seen: set[tuple[str, int]] = set()
    older = known_file(connection, bytes.fromhex(comparison.old.sha256))
    for part in sorted(() if older is None else links.parts_of(connection, older)):
        link = links.link_of(connection, part, file=older, uuid=None)
        for place, one in enumerate(products):
            if link and link.product and one.old and link.product.ref == one.old.ref:
                seen.add((part, place))
                yield part, one
    uuids = {uuid for one in products if one.old for uuid in one.old.uuids}
    by_uuid = links.parts_with(connection, uuids) if uuids else {}
    for place, one in enumerate(products):
        for uuid in one.old.uuids if one.old else ():
            for part in by_uuid.get(uuid, ()):
                if (part, place) not in seen:
                    seen.add((part, place))
                    yield part, one


def _judged(change: ProductChange) -> tuple[State, str]:
    if change.old is None or change.new is None:
        return "unclear", "no product of the newer file continues it"
    if is_revision(change):
        return "proposed", f"{change.overlap:.0%} of the UUIDs persist"
    if change.overlap is not None:
        return "unclear", f"only {change.overlap:.0%} of the UUIDs persist"
    if change.old.id == change.new.id:
        return "proposed", f"both are called {change.new.id!r}"
    return "unclear", "the files have no UUIDs that could be compared"
