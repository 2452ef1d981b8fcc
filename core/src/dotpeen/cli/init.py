"""`dotpeen init`: read a database and propose a registry for it."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from dotpeen.cli.context import Context, JsonOption, current
from dotpeen.database import connect, read_catalog, resolve_url
from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen.proposal import Proposal, render, survey


def init(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it here instead of printing it."),
    ] = None,
    database_url: Annotated[
        str | None, typer.Option("--database-url", metavar="URL", help="The database to read.")
    ] = None,
    schema: Annotated[
        list[str] | None, typer.Option("--schema", metavar="NAME", help="Only this schema; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read a database and propose a registry with a reason for every guess; the database stays as it is."""
    shared = current(context)
    if output is not None:
        _check_output(output, force=force)
    # The registry is what is being made: only options and the environment say which database is meant.
    url = resolve_url(option=database_url or shared.database_url)
    with connect(url, purpose="init") as connection:
        catalog = read_catalog(connection)
    if not catalog.tables:
        raise DotpeenError(
            f"database {catalog.database!r} has no tables",
            hint="name the database with --database-url URL; for a sample plant to play with: dotpeen demo",
        )
    proposal = survey(catalog, schemas=schema or ())
    text = render(proposal)
    if output is not None:
        _write(output, text, force=force)
    if as_json:
        shared.print_json(_summary(proposal, text, output))
    elif output is None:
        print(text, end="")
    if output is not None:
        _say_what_next(shared, proposal, output)


def _check_output(output: Path, *, force: bool) -> None:
    if output.is_dir():
        raise ConfigurationError(
            f"{output} is a folder", hint=f"name a file in it: -o {output / 'registry.toml'}"
        )
    if not output.parent.is_dir():
        raise ConfigurationError(f"{output.parent}: no such folder", hint="make it first, or name another")
    if output.exists() and not output.is_file():
        # Even --force would not overwrite a pipe or a device, but take it away.
        raise ConfigurationError(f"{output} is no regular file", hint="without -o it goes to standard output")
    if output.exists() and not force:
        raise ConfigurationError(
            f"{output} exists already", hint="--force overwrites it; another -o keeps both to compare"
        )


def _write(output: Path, text: str, *, force: bool) -> None:
    """Put the file in place whole or not at all."""
    try:
        # The link's target is what is replaced, not the link.
        target = output.resolve()
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:50]}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                Path(temporary).chmod(target.stat().st_mode & 0o777)
            else:
                mask = os.umask(0)
                os.umask(mask)
                Path(temporary).chmod(0o666 & ~mask)
            if force:
                Path(temporary).replace(target)
            else:
                # Unlike a rename, a hard link never overwrites what came into being meanwhile.
                _link(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"{output} exists already", hint="--force overwrites it") from None
    except OSError as error:
        raise ConfigurationError(f"{output} can't be written: {error.strerror}") from None


def _link(temporary: str, target: Path) -> None:
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        # A file system without hard links.
        Path(temporary).replace(target)


def _summary(proposal: Proposal, text: str, output: Path | None) -> dict[str, object]:
    return {
        "file": None if output is None else str(output),
        "database": proposal.database,
        "entities": [
            {
                "name": entity.name,
                "table": str(entity.table.name),
                "primaryKey": entity.primary_key,
                "businessId": entity.business_id.columns,
                "uuid": {
                    "column": entity.uuid.column or None,
                    "type": entity.uuid.type,
                    "version": entity.uuid.version,
                    "storage": entity.uuid.storage,
                    "exists": entity.uuid.exists,
                },
            }
            for entity in proposal.entities
        ],
        "doubtful": [
            {"name": entity.name, "table": str(entity.table.name), "reason": entity.doubt}
            for entity in proposal.doubtful
        ],
        "leftOut": [{"table": str(one.table), "reason": one.reason} for one in proposal.left_out],
        "toml": text,
    }


def _say_what_next(shared: Context, proposal: Proposal, output: Path) -> None:
    command = f"dotpeen -r {shlex.quote(str(output))}"
    counts = (len(proposal.entities), len(proposal.doubtful), len(proposal.left_out))
    lines = [
        "Wrote {}. Entities proposed: {}; written as comments: {}; tables left out: {}.".format(
            output, *counts
        ),
        "Next, with the same database URL (--database-url or DOTPEEN_DATABASE_URL):",
        "  1. review the file: every guess has its reason beside it",
        f"  2. {command} check",
        f"  3. {command} migrate plan",
    ]
    for line in lines:
        shared.err.print(line, markup=False, highlight=False, soft_wrap=True)
