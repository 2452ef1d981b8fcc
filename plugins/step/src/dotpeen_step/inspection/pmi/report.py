"""PMI for people and for scripts: one row, or one JSON object, for each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from rich.table import Table
from rich.text import Text

from dotpeen_step.inspection.pmi.model import Pmi, PmiKind
from dotpeen_step.inspection.printing import print_whole, shown, whole_width

if TYPE_CHECKING:
    from rich.console import Console

    from dotpeen_step.inspection.products import Product

_KINDS: Final[tuple[PmiKind, ...]] = get_args(PmiKind)
_MOST_ROWS: Final = 200
"""Rows that people are shown, unless they ask for all."""
_NAME_WIDTH: Final = 16
"""Characters of a name that stand on one line at least."""


def pmi_document(one: Pmi, products: Mapping[int, Product]) -> dict[str, Any]:
    """Return an item as JSON can hold it; the keys are always all there."""
    product = products.get(one.product_ref) if one.product_ref is not None else None
    return {
        "ref": one.ref,
        "keyword": one.keyword,
        "kind": one.kind,
        "type": one.type,
        "name": one.name,
        "value": one.value,
        "upper": one.upper,
        "lower": one.lower,
        "limits": one.limits,
        "unit": one.unit,
        "fit": one.fit,
        "modifiers": list(one.modifiers),
        "datums": list(one.datums),
        "letter": one.letter,
        "uuid": one.uuid,
        "uuids": list(one.uuids),
        "productRef": one.product_ref,
        "productId": None if product is None else product.id,
    }


def pmi_counts(found: Iterable[Pmi]) -> dict[str, int]:
    """Return how many items there are of each kind, and how many of them have a UUID."""
    kinds: Counter[str] = Counter()
    identified = 0
    for one in found:
        kinds[one.kind] += 1
        identified += one.uuid is not None
    return {**{kind: kinds[kind] for kind in _KINDS}, "withUuid": identified}


def print_pmi(
    found: Sequence[Pmi], products: Mapping[int, Product], out: Console, *, everything: bool = False
) -> None:
    """Print dimensions, then tolerances, then datums; the first rows unless `everything` is asked for."""
    several = len({one.product_ref for one in found}) > 1
    ordered = sorted(found, key=lambda one: _KINDS.index(one.kind))
    listed = ordered if everything else ordered[:_MOST_ROWS]
    table = _table(several=several)
    for one in listed:
        product = products.get(one.product_ref) if one.product_ref is not None else None
        table.add_row(
            shown(one.type or one.kind),
            shown(one.name or f"#{one.ref}"),
            shown(_value(one)),
            shown(_tolerance(one)),
            shown(" ".join((one.letter, *one.datums)).strip()),
            *([shown("" if product is None else product.id or product.name)] if several else []),
            Text(_uuids(one)),
        )
    if out.is_terminal and whole_width(out, table) > out.width:
        # Names are compared letter by letter: the other columns are narrowed first.
        table.padding = (0, 1, 0, 0)
        table.columns[1].width = min(max(len(one.name or f"#{one.ref}") for one in listed), _NAME_WIDTH)
    print_whole(out, table)
    if not everything and len(found) > _MOST_ROWS:
        out.print(f"… and {len(found) - _MOST_ROWS:,} more; --all shows them", highlight=False)


def _table(*, several: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, collapse_padding=True)
    for heading in ("Kind", "Name", "Value", "Tolerance", "Datums", *(("Product",) if several else ())):
        table.add_column(heading, overflow="fold")
    table.add_column("UUID", no_wrap=True, min_width=36)
    return table


def counted(found: Iterable[Pmi]) -> str:
    """Say how many there are: `2 dimensions, 1 tolerance, no datum; 2 with a UUID`."""
    counts = pmi_counts(found)
    kinds = ", ".join(f"{counts[kind] or 'no'} {kind}{'s' * (counts[kind] > 1)}" for kind in _KINDS)
    return f"{kinds}; {counts['withUuid'] or 'none'} with a UUID"


def _value(one: Pmi) -> str:
    if one.value is None:
        return ""
    sign = "⌀ " if one.type == "diameter" else "R " if one.type == "radius" else ""
    return f"{sign}{_number(one.value)} {one.unit}".strip()


def _tolerance(one: Pmi) -> str:
    """Return what bounds the value: `±0.05`, `+0.1/-0.2`, `18.9 … 19.2`, `H7`, and modifiers."""
    pieces = [one.fit] if one.fit else []
    lower, upper = one.lower, one.upper
    if one.limits:
        ends = ("" if end is None else _number(end) for end in (lower, upper))
        pieces.append(" … ".join(ends).strip())
    elif upper is not None and lower is not None and upper == -lower:
        pieces.append(f"±{_number(upper)}")
    elif upper is not None or lower is not None:
        pieces.append("/".join(_signed(end) for end in (upper, lower) if end is not None))
    return " ".join((*pieces, *(f"({word})" for word in one.modifiers)))


def _number(value: float) -> str:
    return f"{value:.15g}"


def _signed(value: float) -> str:
    return f"+{_number(value)}" if value > 0 else _number(value)


def _uuids(one: Pmi) -> str:
    if not one.uuids:
        return ""
    return one.uuids[0] + (f" and {len(one.uuids) - 1} more" if len(one.uuids) > 1 else "")
