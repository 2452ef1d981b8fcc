"""`dotpeen demo`: everything at once, on the embedded PostgreSQL, with something to look at."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dotpeen.cli.context import Context, JsonOption, current
from dotpeen.cli.migrate_output import Display
from dotpeen.database import embedded
from dotpeen.demo import run as demo_run
from dotpeen.demo.documents import export_documents
from dotpeen.demo.run import Report
from dotpeen.errors import PluginError
from dotpeen.plugins import load_plugins

REPORT_FILE = Path(".dotpeen") / "demo-report.json"
REGISTRY_FILE = Path(".dotpeen") / "demo-registry.toml"
DOCUMENTS = Path(".dotpeen") / "demo-documents"


def demo(
    context: typer.Context,
    rows: Annotated[
        int,
        typer.Option("--rows", min=1000, max=50_000_000, help="Rows of the sample MES, all tables together."),
    ] = 200_000,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, max=16, help="Backfill workers.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the database running, to look around in it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch it work: a sample MES under load gets permanent UUIDs, live, on the embedded PostgreSQL.

    A writer keeps inserting and updating throughout. At the end stands what it noticed.
    """
    shared = current(context)
    console = shared.err if as_json else shared.out
    data_dir = embedded.default_data_dir()
    was_running = embedded.running(data_dir)
    with console.status("Starting the embedded PostgreSQL …"):
        server_url = embedded.start(data_dir)
        url = demo_run.create_database(server_url)
    try:
        report = _demonstrate(console, shared, url, rows=rows, workers=workers)
        documents = _documents(console, url)
    finally:
        if not keep:
            demo_run.drop_database(server_url)
            if not was_running:
                embedded.stop(data_dir)
    REPORT_FILE.parent.mkdir(exist_ok=True)
    document = json.dumps(asdict(report) | {"passed": report.passed}, indent=2)
    REPORT_FILE.write_text(document + "\n", encoding="utf-8")
    REGISTRY_FILE.write_text(demo_run.registry_text(), encoding="utf-8")
    if as_json:
        print(document)
    else:
        _print_report(console, report)
        _print_documents(console, documents)
        _print_next(console, url if keep else None, documents)
    if not report.passed:
        raise typer.Exit(1)


def _demonstrate(console: Console, shared: Context, url: str, *, rows: int, workers: int) -> Report:
    with console.status(f"Building a sample MES of {rows:,} rows …") as status:
        counts = demo_run.build_plant(
            url,
            rows,
            progress=lambda table, count: status.update(f"Building a sample MES: {table} {count:,} …"),
        )
    console.print(
        f"A sample MES stands: {rows:,} rows in {len(counts)} tables, no UUID anywhere.", highlight=False
    )

    def say(text: str) -> None:
        console.print(text, highlight=False)

    with Display(shared.err) as display:
        return demo_run.run(url, counts, workers=workers, notify=display, say=say)


def _print_report(console: Console, report: Report) -> None:
    during = report.phases["during"]
    rate = report.filled / report.backfill_seconds if report.backfill_seconds else 0.0
    failed = sum(phase.failed for phase in report.phases.values())
    checks = sum(check.outcome != "failed" for check in report.checks)
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (
        (
            "records that got a UUID",
            f"{report.filled:,} of {len({c.entity for c in report.checks if c.entity})} entities",
        ),
        ("whole migration", f"{report.migration_seconds:.1f} s"),
        ("of it the backfill", f"{report.backfill_seconds:.1f} s, {rate:,.0f} rows/s"),
        ("writes of the plant meanwhile", f"{during.writes:,}"),
        ("statements of the plant that failed", f"{failed}"),
        ("its longest wait for a lock", f"{report.longest_lock_wait * 1000:.1f} ms"),
        ("longest ACCESS EXCLUSIVE lock held", f"{report.longest_lock_held * 1000:.1f} ms"),
        ("checks passed", f"{checks} of {len(report.checks)}"),
    ):
        facts.add_row(f"  {name}", f"[bold]{value}[/]")
    console.print("\n[bold]What happened[/]")
    console.print(facts, highlight=False)
    latency = Table(
        title="How long the plant's statements took (ms)", title_justify="left", box=None, pad_edge=False
    )
    for name in ("  phase", "statements", "failed", "p50", "p95", "p99", "longest"):
        latency.add_column(name, justify="left" if name == "  phase" else "right")
    for phase in report.phases.values():
        figures = [f"{value * 1000:.1f}" for value in (phase.p50, phase.p95, phase.p99, phase.max)]
        latency.add_row(f"  {phase.phase}", f"{phase.statements:,}", str(phase.failed), *figures)
    console.print()
    console.print(latency, highlight=False)
    for phase in report.phases.values():
        for error in phase.errors:
            console.print(f"  {phase.phase}: {error}", style="red", markup=False)
    for check in report.checks:
        if check.outcome == "failed":
            console.print(f"  {check.entity}: {check.name}: {check.detail}", style="red", markup=False)


def _documents(console: Console, url: str) -> list[Path]:
    try:
        return export_documents(url, load_plugins(demo_run.demo_registry()), DOCUMENTS)
    except PluginError as error:
        # The figures of the migration stand without the documents.
        console.print(f"No documents: {error}", style="yellow", markup=False)
        return []


def _print_documents(console: Console, documents: list[Path]) -> None:
    if documents:
        console.print("\n[bold]Documents of a part[/]")
        for document in documents:
            size = document.stat().st_size
            console.print(f"  {document}  ({size:,} bytes)", highlight=False, soft_wrap=True)


def _print_next(console: Console, url: str | None, documents: list[Path]) -> None:
    console.print(f"\nThe figures: {REPORT_FILE}", highlight=False)
    console.print("[bold]What to try next[/]")
    # Whoever came by `uv run dotpeen` has no `dotpeen` on the path.
    dotpeen = "uv run dotpeen" if "UV_RUN_RECURSION_DEPTH" in os.environ else "dotpeen"
    if url is None:
        lines = [
            (f"{dotpeen} demo --keep", "the same, and leave the migrated database running to look around in"),
            (f"{dotpeen} demo --rows 1000000 --workers 2", "more of it"),
            (f"{dotpeen} init --database-url URL", "have a registry proposed for a database of yours"),
        ]
    else:
        lines = [
            (f'export DOTPEEN_DATABASE_URL="{url}" DOTPEEN_REGISTRY={REGISTRY_FILE}', ""),
            (f"{dotpeen} migrate status", "where each entity stands"),
            (f"{dotpeen} migrate journal", "everything that ran, with lock waits and holds"),
            (f"{dotpeen} db psql -c 'TABLE dotpeen.progress'", "the same for psql"),
            (f"{dotpeen} partner add Acme --scope '*:read'", "let a partner in; prints the token"),
            (f"{dotpeen} serve", "REST for all eight entities; look at http://127.0.0.1:8000/docs"),
            *_with_cad(dotpeen, documents),
            (f"{dotpeen} migrate down --yes", "roll back; no UUID is lost"),
            (f"{dotpeen} migrate up", "and every record has its own back"),
            (f"unset DOTPEEN_DATABASE_URL DOTPEEN_REGISTRY; {dotpeen} db stop", "stop the server"),
        ]
    for command, purpose in lines:
        console.print(f"  {command}", style="cyan", markup=False, highlight=False, soft_wrap=True)
        if purpose:
            console.print(f"      {purpose}", style="dim", markup=False, highlight=False)


def _with_cad(dotpeen: str, documents: list[Path]) -> list[tuple[str, str]]:
    """What can be done with the part's STEP file, where a plugin made one; it is called as the part is."""
    return [
        line
        for file in documents
        if file.suffix == ".stp"
        for line in (
            (f"{dotpeen} step inspect {file}", "the part's STEP file: its product, and the UUID in it"),
            (f"{dotpeen} step link {file.stem} {file}", "make it a revision of the part's CAD model"),
            (f"{dotpeen} lookup {file.stem}", "the part with its CAD revision"),
        )
    ]
