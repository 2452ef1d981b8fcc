"""An inspection for people: facts, assembly, UUIDs, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dotpeen_step.inspection.assembly import Row, rows
from dotpeen_step.inspection.findings import Finding
from dotpeen_step.inspection.inspect import Inspection
from dotpeen_step.inspection.printing import plain, print_whole, shown
from dotpeen_step.inspection.products import Product
from dotpeen_step.inspection.uuids import UuidOccurrence

_MOST_ROWS: Final = 25
"""Rows of each table, unless all are asked for."""
_MOST_DOCUMENTS: Final = 5
_MOST_LEVELS: Final = 50
"""Levels of the assembly: real ones have ten."""
_MOST_PATH: Final = 4096
"""Characters of a fact: the longest path that there is."""
_NAMES_PER_UUID: Final = 3
_STYLES: Final = {"error": "bold red", "warning": "yellow"}


def report(inspection: Inspection, out: Console, *, everything: bool = False) -> None:
    """Print an inspection; the first rows of each list unless `everything` is asked for."""
    most = None if everything else _MOST_ROWS
    _print_facts(inspection, out)
    _print_products(inspection, out, most)
    _print_uuids(inspection, out, most)
    if inspection.pmi:
        kinds = Counter(one.kind for one in inspection.pmi)
        said = ", ".join(_counted(count, kind) for kind, count in kinds.most_common())
        _heading(out, f"PMI: {said}")
        out.print(Text("dotpeen step pmi lists them", style="dim"))
    _print_findings(inspection, out, most)


def _print_facts(inspection: Inspection, out: Console) -> None:
    header = inspection.header
    schemas = ", ".join(plain(schema.said) for schema in inspection.schemas) or "none declared"
    edition = "" if header.edition is None else f", ISO 10303-21 edition {header.edition}"
    level = f"implementation level {plain(header.implementation_level, 20) or 'not given'}{edition}"
    for name, said in (
        ("File", inspection.file),
        ("Size", f"{inspection.size:,} bytes"),
        ("SHA-256", inspection.sha256),
        ("Schema", f"{schemas}; {level}"),
        ("Written by", inspection.originating_system.strip() or "not given"),
        ("Time", header.time_stamp.strip() or "not given"),
    ):
        # Not folded: a path is copied, and a terminal copies what it wraps itself as one line.
        line = Text.assemble((f"{name:<12}", "bold"), shown(said, most=_MOST_PATH))
        out.print(line, soft_wrap=True)


def _print_products(inspection: Inspection, out: Console, most: int | None) -> None:
    parts = inspection.parts
    _heading(out, f"{_counted(len(parts), 'product')}, {_counted(len(inspection.usages), 'usage')}")
    uuids = _product_uuids(inspection)
    listed = rows(parts, inspection.usages)
    tree = _tree(islice(listed, most), uuids)
    if parts:
        print_whole(out, tree)
    _print_more(out, sum(1 for _ in listed))
    documents = [product for product in inspection.products if product.is_document]
    if documents:
        named = ", ".join(product.id or product.name for product in documents[:_MOST_DOCUMENTS])
        more = f" and {len(documents) - _MOST_DOCUMENTS:,} more" if len(documents) > _MOST_DOCUMENTS else ""
        out.print(shown(f"{_counted(len(documents), 'document')}: {named}{more}", most=400), soft_wrap=True)


def _tree(listed: Iterable[Row], uuids: dict[int, list[str]]) -> Tree:
    """Return the assembly down to some level; what is below is counted: a tree is as wide as it is deep."""
    tree = Tree("", hide_root=True)
    branches = [tree]
    more: Text | None = None
    deepest = 0
    for row in listed:
        if row.depth < _MOST_LEVELS:
            del branches[row.depth + 1 :]
            branches.append(branches[row.depth].add(_product_line(row, uuids)))
            more = None
            continue
        if more is None:
            more, deepest = Text(style="dim"), 0
            branches[_MOST_LEVELS].add(more)
        deepest = max(deepest, row.depth + 1 - _MOST_LEVELS)
        more.plain = f"… {_counted(deepest, 'level')} more: --json shows them"
    return tree


def _product_line(row: Row, uuids: dict[int, list[str]]) -> Text:
    product = row.product
    line = Text().append_text(shown(_number(product), style="bold"))
    if product.name and product.name not in (product.id, ""):
        line.append("  ").append_text(shown(product.name))
    if product.revision.strip():
        line.append("  rev ").append_text(shown(product.revision))
    if row.quantity > 1:
        line.append(f"  {row.quantity:,} times")
    if row.repeated:
        line.append("  (components above)", style="dim")
    for uuid in _first_uuids(product, uuids):
        line.append(f"  {uuid}", style="cyan")
    return line


def _number(product: Product) -> str:
    """Return the id; in quotes where it couldn't be seen otherwise, the instance where there is no name either."""
    if product.id.strip():
        return product.id
    return f"'{product.id}'" if product.name.strip() else f"#{product.product_ref}"


def _first_uuids(product: Product, uuids: dict[int, list[str]]) -> list[str]:
    found = dict.fromkeys(uuid for ref in product.refs for uuid in uuids.get(ref, ()))
    return list(found)[:_NAMES_PER_UUID]


def _product_uuids(inspection: Inspection) -> dict[int, list[str]]:
    """Return the UUIDs of all that stands for products, by instance name."""
    found: dict[int, list[str]] = {}
    uuids = inspection.uuids
    for number in range(len(uuids)):
        if uuids.kind_of(number) == "product" and uuids.carrier_of(number).identifies:
            found.setdefault(uuids.target_of(number), []).append(uuids[number].uuid)
    return found


def _print_uuids(inspection: Inspection, out: Console, most: int | None) -> None:
    uuids = inspection.uuids
    counts = Counter((uuids.carrier_of(number).value, uuids.kind_of(number)) for number in range(len(uuids)))
    said = ", ".join(f"{count:,} {carrier} on {kind}" for (carrier, kind), count in counts.most_common())
    _heading(out, _counted(len(uuids), "UUID") + (f": {said}" if said else ""))
    if not len(uuids):
        return
    names = {product.product_ref: product.id or product.name for product in inspection.parts}
    with_product, with_carrier = len(names) > 1, len({carrier for carrier, _ in counts}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("UUID", no_wrap=True, min_width=36)
    optional = ("Product",) * with_product + ("Carrier",) * with_carrier
    for heading in ("Kind", "Item", *optional):
        table.add_column(heading, overflow="fold")
    for one in islice(_products_first(inspection), most):
        product = (shown(names.get(one.product_ref or 0, ""), most=40),) * with_product
        table.add_row(one.uuid, one.kind, _item(one), *product, *(_carrier(one),) * with_carrier)
    print_whole(out, table)
    _print_more(out, 0 if most is None else len(uuids) - most)


def _products_first(inspection: Inspection) -> Iterator[UuidOccurrence]:
    uuids = inspection.uuids
    for wanted in (True, False):
        for number in range(len(uuids)):
            if (uuids.kind_of(number) == "product") is wanted:
                yield uuids[number]


def _item(one: UuidOccurrence) -> Text:
    if one.target_ref is None:
        return Text("nothing in this file", style="dim")
    line = Text(f"#{one.target_ref} ").append_text(shown(one.target_keyword or "not there", most=60))
    return line.append(" ").append_text(shown(one.target_name, style="bold", most=60))


def _carrier(one: UuidOccurrence) -> Text:
    line = Text(one.carrier.value)
    return line.append(" ").append_text(shown(one.label, style="dim", most=60)) if one.label else line


def _print_findings(inspection: Inspection, out: Console, most: int | None) -> None:
    _heading(out, f"{_counted(inspection.errors, 'error')}, {_counted(inspection.warnings, 'warning')}")
    name = plain(inspection.file, 400)
    ordered = sorted(inspection.findings, key=lambda finding: finding.severity)
    for finding in ordered[:most]:
        out.print(_finding_line(name, finding), soft_wrap=True)
    _print_more(out, inspection.errors + inspection.warnings - len(ordered[:most]))


def _finding_line(name: str, finding: Finding) -> Text:
    line = Text(f"{name}:{finding.line}: ")
    line.append(finding.severity, style=_STYLES[finding.severity])
    line.append(f": {plain(finding.message, 600)} [{finding.rule}, byte {finding.byte}]\n")
    return line.append(f"    {finding.hint}", style="dim")


def _heading(out: Console, text: str) -> None:
    out.print()
    out.print(Text(text, style="bold"), soft_wrap=True)


def _print_more(out: Console, count: int) -> None:
    if count > 0:
        out.print(Text(f"… and {count:,} more: --all or --json shows them", style="dim"))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
