"""A comparison for people, and as one JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from dotpeen.cli.context import Context
from dotpeen_step.comparing.carrying import Carry, is_revision
from dotpeen_step.comparing.changes import (
    Change,
    Comparison,
    Difference,
    File,
    Identified,
    Outcome,
    Product,
    ProductChange,
)
from dotpeen_step.inspection.printing import plain, print_whole, shown

_MOST_SHOWN: Final = 50
"""Items of one outcome that have a line each."""
_LONGEST: Final = 1000
"""Characters of a line."""
_SHOWN: Final = (Outcome.MOVED, Outcome.CHANGED, Outcome.REMOVED, Outcome.ADDED)


def print_comparison(shared: Context, comparison: Comparison) -> None:
    """Print what became of the UUIDs: of all of each product, then every one that was not simply kept."""
    print_whole(shared.out, _files(comparison))
    for one in comparison.products[:_MOST_SHOWN]:
        for line in _product_lines(one):
            _say(shared, line)
    if len(comparison.products) > _MOST_SHOWN:
        _say(shared, f"and {len(comparison.products) - _MOST_SHOWN:,} more products; --json lists all")
    for outcome in _SHOWN:
        _print_changes(shared, outcome, [one for one in comparison.changes if one.outcome is outcome])
    _say(shared, f"\nIn all {_counts(comparison.counts)}")


def print_carries(shared: Context, carries: Sequence[Carry], new: Path) -> None:
    """Print what is proposed for the parts that the older file is linked to, or was done."""
    for one in carries:
        name = one.product.new.id if one.product.new else ""
        match one.state:
            case "proposed":
                _say(
                    shared,
                    f"{one.part} is linked to the old file. Link it to {name!r} of the new one ({one.reason}):",
                )
                _say(shared, f"  {command(shared, one, new)}")
            case "carried":
                _say(shared, f"{one.part} is linked to {name!r} of {new.name} now ({one.reason})")
            case "linked":
                _say(shared, f"{one.part} {one.reason}")
            case "unclear":
                _say(shared, f"{one.part} is linked to the old file, and not carried over: {one.reason}")


def carries_json(shared: Context, carries: Sequence[Carry], new: Path) -> list[dict[str, Any]]:
    """Return the parts that the older file is linked to as `--json` has them."""
    return [
        {
            "part": one.part.uuid,
            "number": one.part.number,
            "old": _product_json(one.product.old),
            "new": _product_json(one.product.new),
            "state": one.state,
            "reason": one.reason,
            "command": command(shared, one, new) if one.state == "proposed" else None,
        }
        for one in carries
    ]


def command(shared: Context, one: Carry, new: Path) -> str:
    """Return the command that links a part to the product of the newer file."""
    product = [] if one.product.new is None else ["--product", f"#{one.product.new.ref}"]
    return shared.command("step", "link", one.part.number or one.part.uuid, str(new), *product)


def _say(shared: Context, text: str) -> None:
    if text.startswith("\n"):
        shared.out.print()
    shared.out.print(plain(text.lstrip("\n"), _LONGEST), markup=False, highlight=False, soft_wrap=True)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the document that `--json` prints; its keys stay."""
    return {
        "old": _file_json(comparison.old),
        "new": _file_json(comparison.new),
        "counts": _counts_json(comparison.counts),
        "products": [_product_change_json(one) for one in comparison.products],
        "uuids": [_change_json(one) for one in comparison.changes],
    }


def _files(comparison: Comparison) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for _ in range(3):
        grid.add_column(overflow="fold")
    for side, file in (("old", comparison.old), ("new", comparison.new)):
        grid.add_row(
            side, shown(file.name, most=400), shown(file.originating_system), f"SHA-256 {file.sha256[:16]}…"
        )
    return grid


def _product_lines(one: ProductChange) -> Iterator[str]:
    if one.old is None and one.new is None:
        yield f"\nOf no product: {_counts(one.counts)}"
    elif one.old is None or one.new is None:
        only = _product(one.old or one.new)
        yield f"\n{only}, only in the {'old' if one.new is None else 'new'} file: {_counts(one.counts)}"
    else:
        old, new = _product(one.old), _product(one.new)
        yield f"\n{old}: {_counts(one.counts)}" if old == new else f"\n{old} → {new}: {_counts(one.counts)}"
        if one.old.uuids or one.new.uuids:
            yield f"  revision {_uuids(one.old)} → {_uuids(one.new)}"
        if one.overlap is not None:
            before = one.persisting + one.counts[Outcome.REMOVED]
            share = f"{one.persisting:,} of {_counted(before, 'UUID')} persist ({one.overlap:.0%})"
            yield f"  {share}, which speaks {'for' if is_revision(one) else 'against'} a revision of the same"


def _counts(counts: Counter[Outcome]) -> str:
    return ", ".join(f"{counts[one]:,} {one.value}" for one in Outcome if counts[one]) or "no UUIDs"


def _product(product: Product | None) -> str:
    if product is None:
        return ""
    revision = f" revision {product.revision}" if product.revision.strip() else ""
    return f"{product.id or product.name}{revision}"


def _uuids(product: Product) -> str:
    return ", ".join(product.uuids) or "without a UUID"


def _print_changes(shared: Context, outcome: Outcome, changes: list[Change]) -> None:
    if not changes:
        return
    line = f"\n{outcome.value.capitalize()}: {_counted(len(changes), 'UUID')}"
    if outcome is Outcome.MOVED:
        line += ". A UUID that identifies something else is a conflict: one of the files is wrong"
    _say(shared, line)
    for change in changes[:_MOST_SHOWN]:
        for text in _lines(change):
            _say(shared, text)
    if len(changes) > _MOST_SHOWN:
        shared.out.print(f"  and {len(changes) - _MOST_SHOWN:,} more; --json lists all", highlight=False)


def _lines(change: Change) -> Iterator[str]:
    if change.outcome is Outcome.MOVED and change.old and change.new:
        yield f"  {change.uuid} {_item(change.old)} → {_item(change.new)}"
    else:
        yield f"  {change.uuid} {_item(change.item)}"
    for difference in change.differences:
        yield f"    {difference_text(difference)}"


def _item(item: Identified) -> str:
    ref = "nothing" if item.ref is None else f"#{item.ref}"
    named = " ".join(filter(None, (item.keyword.rpartition("+")[2], item.name, f"({ref})")))
    return f"{named} and {_counted(item.also, 'more item')}" if item.also else named


def difference_text(difference: Difference) -> str:
    """Return a difference as a line: where it is, below the item, and what it was and is."""
    place = " > ".join(difference.path[1:])
    if difference.attribute:
        place += (
            f" {difference.attribute}" if not difference.attribute.isdigit() else f"[{difference.attribute}]"
        )
    where = f"{place.strip()}: " if place.strip() else ""
    if difference.old is not None and difference.old == difference.new:
        return f"{where}{difference.old} changed"
    if difference.old is None:
        return f"{where}with {difference.new} now"
    if difference.new is None:
        return f"{where}without {difference.old} now"
    return f"{where}{difference.old} → {difference.new}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _file_json(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "size": file.size,
        "schemas": list(file.schemas),
        "originatingSystem": file.originating_system,
    }


def _product_change_json(change: ProductChange) -> dict[str, Any]:
    return {
        "old": _product_json(change.old),
        "new": _product_json(change.new),
        "counts": _counts_json(change.counts),
        "overlap": None if change.overlap is None else round(change.overlap, 4),
        "revision": is_revision(change),
    }


def _product_json(product: Product | None) -> dict[str, Any] | None:
    return None if product is None else asdict(product)


def _counts_json(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "uuid": change.uuid,
        "outcome": change.outcome.value,
        "old": _item_json(change.old),
        "new": _item_json(change.new),
        "differences": list(_differences_json(change.differences)),
    }


def _item_json(item: Identified | None) -> dict[str, Any] | None:
    return None if item is None else asdict(item)


def _differences_json(differences: Iterable[Difference]) -> Iterator[dict[str, Any]]:
    for one in differences:
        yield {"path": list(one.path), "attribute": one.attribute, "old": one.old, "new": one.new}
