"""`dotpeen check`: hold the registry against the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import typer
from rich.table import Table as RichTable
from rich.text import Text

from dotpeen.cli.context import Context, EntityOption, JsonOption, PhaseOption, current
from dotpeen.conformance import Finding, conformance, contributed_columns, overlaps
from dotpeen.database import Catalog, read_catalog
from dotpeen.plugins import load_plugins
from dotpeen.records import load_shapes
from dotpeen.registry import Entity, Registry

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def check(
    context: typer.Context,
    *,
    entity: EntityOption = None,
    phase: PhaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the registry against the database: columns, keys, types, privileges. Changes nothing.

    Ends with 0 when there is no error, 1 when there is one, 2 when the registry itself is wrong.
    """
    shared = current(context)
    registry = shared.registry
    entities = registry.select(phase=phase, names=tuple(entity or ()))
    catalog = _read(shared, registry)
    contributed = contributed_columns(one for _, one in load_plugins(registry).external_references())
    findings = [
        *conformance(registry, catalog, entities, contributed=contributed),
        *overlaps(catalog, entities),
    ]
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        shared.print_json(
            {
                "file": registry.file,
                "database": catalog.database,
                "entities": [one.name for one in entities],
                "ok": errors == 0,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        _print(shared, registry.file, catalog.database, len(entities), findings)
        if not errors:
            next_ = ("serve",) if _migrated(shared, registry, entities) else ("migrate", "plan")
            shared.out.print(f"Next: {shared.command(*next_)}", markup=False, highlight=False, soft_wrap=True)
    if errors:
        raise typer.Exit(1)


def _read(shared: Context, registry: Registry) -> Catalog:
    names = [one.table for one in registry.entities.values()]
    with shared.connect("check") as connection:
        catalog = read_catalog(connection, names)
        if all(name in catalog.tables for name in names):
            return catalog
        # Only to say what a missing table may be called.
        everything = read_catalog(connection)
    return replace(catalog, tables={**everything.tables, **catalog.tables})


def _migrated(shared: Context, registry: Registry, entities: Sequence[Entity]) -> bool:
    """Whether every record of the entities has its UUID."""
    with shared.connect("check") as connection:
        shapes = load_shapes(connection, registry)
    return all(one.name in shapes and shapes[one.name].ready is None for one in entities)


def _print(shared: Context, file: str, database: str, entities: int, findings: list[Finding]) -> None:
    table = RichTable.grid(padding=(0, 2))
    for finding in findings:
        remedy = "" if finding.hint is None else f"\n→ {finding.hint}"
        text = Text.assemble(
            (f"{file}: {finding.key}", "bold"), f"\n{finding.message}{remedy}", overflow="fold"
        )
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), text)
    if findings:
        shared.out.print(table)
    errors = sum(finding.level == "error" for finding in findings)
    others = len(findings) - errors
    checked = f"{entities} {'entity' if entities == 1 else 'entities'} held against database {database}"
    if errors:
        what = f"{checked}: {errors} {'error' if errors == 1 else 'errors'}, {others} more to know of."
        shared.err.print(
            f"{what} Correct {file} or the database and run it again.", markup=False, highlight=False
        )
    else:
        rest = f"nothing wrong, {others} to know of" if others else "nothing to say against it"
        shared.out.print(f"{checked}: {rest}.", markup=False, highlight=False)
