"""`dotpeen export` and `dotpeen import`: documents in the formats of the site's plugins."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dotpeen.cli.context import JsonOption, YesOption, current
from dotpeen.contributions import ImportItem, ImportOutcome, ImportReport
from dotpeen.database import Connection
from dotpeen.database.connect import describe
from dotpeen.errors import ConfigurationError, NotMigratedError, RecordNotFoundError
from dotpeen.exchange import (
    choose_exporter,
    choose_importer,
    models_of,
    open_export,
    reading_session,
    run_import,
)
from dotpeen.exchange.files import write_whole
from dotpeen.exchange.importing import Imported
from dotpeen.identifiers import find_uuid
from dotpeen.plugins import load_plugins
from dotpeen.records import Shape, load_shapes
from dotpeen.records.lookup import find
from dotpeen.records.records import answered

_OUTCOMES: Final[tuple[str, ...]] = get_args(ImportOutcome)
_LISTED: Final = 200
"""Items that people are shown; `--json` has all."""

OptionOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the format; may be repeated."),
]


def export(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="As the registry calls it: Part.")],
    identifier: Annotated[
        str,
        typer.Argument(metavar="IDENTIFIER", help="Any identifier of the record, as for `dotpeen lookup`."),
    ],
    *,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option("--format", "-f", metavar="NAME", help="Needed where there are several."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file, a folder, or - for standard output. [default: the document's own name; standard output "
            "where that is no terminal]",
        ),
    ] = None,
    option: OptionOption = None,
    yes: YesOption = False,
) -> None:
    """Export a record as a document of another system.

    The file is there once it is complete, never in part. Formats come from plugins: `dotpeen plugins` lists them.

    Examples: `dotpeen export Part PN-1001 --format qif`, `dotpeen export Part PN-1001 --format qif -o - | gzip`
    """
    shared = current(context)
    registry = shared.registry
    if sys.stdout is None and (output is None or str(output) == "-"):  # as Python has it where it is closed
        raise ConfigurationError("standard output is closed", hint="name a file: -o FILE")
    (chosen,) = registry.select(names=(entity,))
    plugins = load_plugins(registry)
    plugin, exporter = choose_exporter(plugins, chosen.name, format)
    options = _options(option)
    with reading_session(shared.url) as connection:
        shape = load_shapes(connection, registry, plugins).entity(chosen.name)
        uuid = _uuid_of(connection, shape, identifier)
        document = open_export(
            plugin,
            exporter,
            connection,
            registry,
            chosen,
            uuid,
            audience="internal",
            options=options,
            models=models_of(plugins, shared.url),
        )
        with contextlib.closing(document.chunks):  # type: ignore[type-var]
            if str(output) == "-" or (output is None and not sys.stdout.isatty()):
                _write_standard(document.chunks)
                return
            target = output or Path(document.file_name)
            if target.is_dir():
                target /= document.file_name
            if target.is_file():
                shared.confirm(f"{target} is there already. Overwrite it?", yes=yes)
            with _progress(shared.err) as tell:
                size = write_whole(
                    target, document.chunks, progress=lambda size: tell(f"{target}: {decimal(size)}")
                )
    shared.err.print(
        f"Wrote {target} ({decimal(size)}, {exporter.format})", markup=False, highlight=False, soft_wrap=True
    )


def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of one format.")],
    *,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(
            "--format", "-f", metavar="NAME", help="Needed where the file's extension doesn't tell."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would become of it, and write nothing.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out what is wrong, and import the rest.")
    ] = False,
    option: OptionOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import documents that other systems wrote, all of them or nothing.

    Reports what was created, updated and unchanged, and lists what conflicts with the database or fits no record; if
    there is any of that, nothing is written unless `--partial` is given. Ends with 1 then.

    Examples: `dotpeen import plan.qif --dry-run`, `dotpeen import plan.qif results.qif --yes --json`
    """
    shared = current(context)
    registry = shared.registry
    plugins = load_plugins(registry)
    plugin, importer = choose_importer(plugins, files, format)
    options = _options(option)
    names = ", ".join(str(file) for file in files)
    if not dry_run:
        shared.confirm(f"Import {names} into {describe(shared.url)}?", yes=yes)
    with _progress(shared.err) as tell:

        def progress(what: str, done: int, total: int) -> None:
            tell(f"{what}: {done:,}" + (f" of {total:,}" if total else ""))

        done = run_import(
            plugin,
            importer,
            shared.url,
            registry,
            files,
            dry_run=dry_run,
            partial=partial,
            options=options,
            progress=progress,
            models=models_of(plugins, shared.url),
        )
    if as_json:
        shared.print_json(_document(importer.format, files, done, dry_run=dry_run, partial=partial))
    else:
        if done.report.counts:
            shared.out.print(_table(done.report))
        for line in (*_lines(done.report.changes, "yellow"), *_lines(done.report.items, "bold red")):
            shared.out.print(line, soft_wrap=True)
    shared.err.print(_closing(done, dry_run=dry_run), markup=False, highlight=False, soft_wrap=True)
    if not done.report.clean:
        raise typer.Exit(1)


def _options(given: Iterable[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ConfigurationError(f"--option {text!r} is no NAME=VALUE")
        if name in found:
            raise ConfigurationError(f"--option {name} stands twice")
        found[name] = value
    return found


def _uuid_of(connection: Connection, shape: Shape, identifier: str) -> str:
    try:
        match = answered(connection, find(shape, identifier, audience="internal", fields=()))
    except RecordNotFoundError:
        canonical = find_uuid(identifier)
        if canonical is None or canonical == identifier:
            raise
        match = answered(connection, find(shape, canonical, audience="internal", fields=()))
    if match.row.uuid is None:
        raise NotMigratedError(shape.entity.name, shape.ready or "the record has none yet")
    return match.row.uuid


def _write_standard(chunks: Iterable[bytes]) -> None:
    out = sys.stdout.buffer
    try:
        for chunk in chunks:
            out.write(chunk)
        out.flush()
    except OSError as error:
        # The interpreter must not try again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(1) from None  # whoever read it has enough
        raise ConfigurationError(f"standard output can't be written: {error.strerror}") from None


@contextlib.contextmanager
def _progress(err: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows how far it is, on a terminal."""
    if not err.is_terminal:
        yield lambda text: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        task = shown.add_task("")
        yield lambda text: shown.update(task, description=text)


def _table(report: ImportReport) -> Table:
    table = Table("Entity")
    for outcome in _OUTCOMES:
        table.add_column(outcome.capitalize(), justify="right")
    for entity, counts in sorted(report.counts.items()):
        table.add_row(
            Text(entity), *(f"{counts[outcome]:,}" if counts[outcome] else "" for outcome in _OUTCOMES)
        )
    return table


def _lines(items: Sequence[ImportItem], style: str) -> Iterator[Text]:
    for item in items[:_LISTED]:
        where = f"{item.where}: " if item.where else ""
        message = f": {item.message}" if item.message else ""
        yield Text.assemble(where, (item.outcome, style), f" {item.entity} {item.identifier}{message}")
    if len(items) > _LISTED:
        yield Text(f"… and {len(items) - _LISTED:,} more; --json lists them all")


def _document(
    format_: str, files: Sequence[Path], done: Imported, *, dry_run: bool, partial: bool
) -> dict[str, Any]:
    return {
        "format": format_,
        "files": [str(file) for file in files],
        "dryRun": dry_run,
        "partial": partial,
        "committed": done.committed,
        "clean": done.report.clean,
        "counts": {
            entity: {outcome: counts[outcome] for outcome in _OUTCOMES}
            for entity, counts in sorted(done.report.counts.items())
        },
        "changes": done.report.changes,
        "items": done.report.items,
    }


def _closing(done: Imported, *, dry_run: bool) -> str:
    wrong = len(done.report.items)
    if done.committed:
        return f"Imported, and {wrong:,} left out." if wrong else "Imported."
    if dry_run:
        return "Dry run: nothing was written."
    return "Nothing was written. Correct the files, or import the rest with --partial."
