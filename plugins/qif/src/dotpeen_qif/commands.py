"""`dotpeen qif`: look at QIF files without importing them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from dotpeen.cli.context import Context, JsonOption, current
from dotpeen_qif.limits import QifFileError
from dotpeen_qif.model import Characteristic, Document, Plan, Tolerance
from dotpeen_qif.plugin import settings
from dotpeen_qif.reading import read_document

if TYPE_CHECKING:
    from dotpeen_qif.validate import Report

_MOST_SHOWN: Final = 10
"""Sets of results that `show` has a line for each of."""

app = typer.Typer(
    name="qif",
    help="QIF files (ISO 23952:2020): check them, and see what they say.\n\n"
    "A QIF file has measurement plans, results, or both. `dotpeen qif validate` tells what is wrong "
    "with one and where, `dotpeen qif show` what is in it: nothing is written to the database. `dotpeen import FILE` "
    "does that, `dotpeen export Part PN-1001 --format qif` writes one.",
    no_args_is_help=True,
)

FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="QIF files.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A QIF file.")]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema-dir",
        metavar="DIR",
        help="Folder of the QIF schemas, with QIFApplications in it. Default: schema_dir of \\[plugins.qif].",
    ),
]


@app.command("validate")
def validate_files(
    context: typer.Context,
    files: FilesArgument,
    *,
    schema_dir: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check QIF files: against the schemas of the standard, and for what these can't say.

    Ends with 0 when no file has an error (warnings don't count), 1 when one has, 2 when one can't be read or
    there are no schemas where they should be.

    Example: `dotpeen qif validate plan.qif results-*.qif`
    """
    from dotpeen_qif.validate import validate  # with lxml, which the list of commands can do without

    shared = current(context)
    folder = schema_dir or settings(shared.registry).schema_dir
    reports: list[Report] = []
    unreadable: list[QifFileError] = []
    for file in files:
        try:
            reports.append(validate(file, schema_dir=folder))
        except QifFileError as error:
            unreadable.append(error)
            shared.err.print(error.message, markup=False, highlight=False)
        if not as_json and reports and reports[-1].file == file:
            _print_report(shared, reports[-1])
    if as_json:
        shared.print_json({"files": [_report_json(report) for report in reports]})
    if folder is None:
        shared.err.print(
            "Not checked against the schemas of QIF: set schema_dir in [plugins.qif] to the folder of the standard.",
            markup=False,
            highlight=False,
        )
    if unreadable:
        raise typer.Exit(2)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def show(context: typer.Context, file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Show what a QIF file has: products, plans, characteristics, and how many results.

    Example: `dotpeen qif show plan.qif`
    """
    shared = current(context)
    document = read_document(file)
    sets = _result_sets(document)
    if as_json:
        shared.print_json(_document_json(document, sets))
        return
    _print_document(shared, document)
    for plan in document.plans:
        _print_plan(shared, plan)
    _print_results(shared, sets)


def _print_report(shared: Context, report: Report) -> None:
    out = shared.out
    for finding in report.findings:
        place = str(report.file) if finding.line is None else f"{report.file}:{finding.line}"
        line = f"{place}: {finding.severity}: {finding.message} [{finding.check}]"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if report.left_out:
        out.print(f"{report.file}: {report.left_out:,} more", markup=False, highlight=False)
    warnings = len(report.findings) - len(report.errors)
    said = "valid" if report.ok else _counted(len(report.errors), "error")
    out.print(
        f"{report.file}: {said}" + (f", {_counted(warnings, 'warning')}" if warnings else ""),
        markup=False,
        highlight=False,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "file": str(report.file),
        "valid": report.ok,
        "checkedAgainstSchemas": report.schema is not None,
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
        "leftOut": report.left_out,
    }


def _result_sets(document: Document) -> list[dict[str, Any]]:
    """Return each set of results with its measurements counted by status."""
    serials = {actual.key: actual.serial for actual in document.actuals}
    sets = []
    for results in document.results:
        statuses: Counter[str] = Counter()
        actuals = set(results.actuals)
        for measurement in results.measurements:
            statuses[measurement.status or "none"] += 1
            if measurement.actual is not None:
                actuals.add(measurement.actual)
        sets.append(
            {
                "uuid": results.uuid,
                "status": results.status,
                "serials": sorted(serial for key in actuals if (serial := serials.get(key))),
                "measurements": sum(statuses.values()),
                "statuses": dict(sorted(statuses.items())),
            }
        )
    return sets


def _document_json(document: Document, sets: list[dict[str, Any]]) -> dict[str, Any]:
    said = {
        field.name: getattr(document, field.name)
        for field in dataclasses.fields(document)
        if field.name not in ("results", "products", "plans", "actuals", "devices")
    }
    return {
        **_plain(said),
        **_plain({name: getattr(document, name) for name in ("products", "plans", "actuals", "devices")}),
        "results": sets,
    }


def _plain(value: Any) -> Any:
    """Return a value of the model as JSON has it; numbers as text, to keep their digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _print_document(shared: Context, document: Document) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Document", document.qpid)
    for external in document.external:
        facts.add_row("refers to", f"{external.qpid} {escape(external.uri or '')}")
    for product in document.products:
        named = " ".join(filter(None, (product.number, product.name, product.revision)))
        facts.add_row(product.kind, f"{product.uuid or 'no UUID'} {escape(named)}")
    if (traceability := document.traceability) is not None:
        if traceability.order is not None:
            facts.add_row("Order", escape(traceability.order))
        for plan in traceability.plans:
            facts.add_row("by plan", plan.plan)
    facts.add_row("Units", escape(", ".join(unit.name for unit in document.units.values()) or "not given"))
    shared.out.print(facts, highlight=False)


def _print_plan(shared: Context, plan: Plan) -> None:
    table = _table("Designator", "Kind", "Nominal", "Tolerance", "Unit", "UUID")
    for one in plan.characteristics:
        table.add_row(
            escape(one.designator or one.name or one.key),
            escape(one.kind),
            "" if one.nominal is None else str(one.nominal),
            _tolerance(one),
            escape(one.unit.name) if one.unit is not None else "",
            one.uuid or "",
        )
    shared.out.print(
        f"\nPlan {plan.uuid or 'without a UUID'}: {_counted(len(plan.characteristics), 'characteristic')}",
        markup=False,
        highlight=False,
    )
    shared.out.print(table)


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _tolerance(characteristic: Characteristic) -> str:
    tolerance = characteristic.tolerance
    if tolerance is None:
        return escape(characteristic.fit or characteristic.untoleranced or "")
    if tolerance.zone is not None:
        return f"zone {tolerance.zone}"
    return _span(tolerance)


def _span(tolerance: Tolerance) -> str:
    lower, upper = (
        "" if bound is None else f"{bound}" if tolerance.limits else f"{bound:+}"
        for bound in (tolerance.lower, tolerance.upper)
    )
    if lower and upper:
        return f"{lower} … {upper}"
    return f"at most {upper}" if upper else f"at least {lower}"


def _print_results(shared: Context, sets: list[dict[str, Any]]) -> None:
    if not sets:
        return
    table = _table("Results", "Status", "Serial numbers", "Measurements", "of these")
    for one in sets[:_MOST_SHOWN]:
        table.add_row(
            one["uuid"] or "without a UUID",
            escape(one["status"] or ""),
            escape(", ".join(one["serials"])),
            f"{one['measurements']:,}",
            escape(_statuses(one["statuses"])),
        )
    total = sum(one["measurements"] for one in sets)
    line = f"\n{_counted(len(sets), 'set')} of results with {_counted(total, 'measurement')}"
    verdicts, statuses = Counter(one["status"] or "none" for one in sets), Counter[str]()
    for one in sets:
        statuses.update(one["statuses"])
    if len(sets) > 1:
        line += f": sets {_statuses(verdicts)}; measurements {_statuses(statuses) or 'none'}"
    shared.out.print(line, markup=False, highlight=False, soft_wrap=True)
    shared.out.print(table)
    if len(sets) > _MOST_SHOWN:
        shared.out.print(f"and {len(sets) - _MOST_SHOWN:,} more sets; --json lists all", highlight=False)


def _statuses(counts: Mapping[str, int]) -> str:
    """Return how many there are of each status: `12 PASS, 1 FAIL`, the most first."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {status}" for status, count in ordered)
