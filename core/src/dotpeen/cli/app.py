"""The application: global options, the commands, and what becomes of errors."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from dotpeen import __version__
from dotpeen.cli import (
    api,
    audit,
    check,
    db,
    demo,
    documents,
    export,
    init,
    lookup,
    migrate,
    partner,
    plugin,
    plugins,
    serve,
)
from dotpeen.cli.context import Terminated, current, drop_output, exit_code, is_full
from dotpeen.cli.groups import Commands
from dotpeen.errors import ConfigurationError, DotpeenError, PluginError

app = typer.Typer(
    name="dotpeen",
    cls=Commands,
    help="Give every record of a manufacturing database a permanent UUID, while the plant keeps running.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag
    if value:
        print(f"dotpeen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry",
            "-r",
            metavar="FILE",
            help="The registry. [env: DOTPEEN_REGISTRY; default: registry.toml]",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            metavar="URL",
            help="The database; without one the registry's, or the embedded PostgreSQL. [env: DOTPEEN_DATABASE_URL]",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if database_url is not None and not database_url.strip():
        raise ConfigurationError("--database-url is empty", hint="is the variable that it comes from set?")
    site = current(context)
    site.registry_file, site.database_url = registry, database_url


app.command("init")(init.init)
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("lookup")(lookup.lookup)
app.command("export")(documents.export)
app.command("import")(documents.import_)
app.command("plugins")(plugins.plugins)
app.command("serve")(serve.serve)
migrate.app.command("export")(export.export)
app.add_typer(migrate.app, name="migrate")
app.add_typer(partner.app, name="partner")
app.add_typer(audit.app, name="audit")
app.add_typer(api.app, name="api")
app.add_typer(db.app, name="db")
app.add_typer(plugin.app, name="plugin")


def main() -> None:
    """Run the command line; no traceback reaches a user unless `DOTPEEN_DEBUG` asks for it."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except DotpeenError as error:
        if isinstance(error, PluginError) and error.__cause__ and os.environ.get("DOTPEEN_DEBUG"):
            raise
        _report(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interrupt:
        _report("interrupted", None)
        sys.exit(exit_code(interrupt))
    except psycopg.OperationalError as error:
        lost = error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
        what = "the connection to the database was lost" if lost else "the database gave up on a statement"
        _report(f"{what}: {_one_line(error)}", "run the command again")
        sys.exit(1)
    except psycopg.errors.InsufficientPrivilege as error:
        _report(f"the database refused: {error.diag.message_primary}", "connect as a role that may do this")
        sys.exit(1)
    except Exception as error:
        if os.environ.get("DOTPEEN_DEBUG"):
            raise
        if isinstance(error, OSError) and is_full(error):
            drop_output()
            _report(f"the output can't be written: {error.strerror}", None)
            sys.exit(1)
        _report(
            f"unexpected {type(error).__name__}: {_one_line(error)}",
            "this is a defect of Dotpeen: report it with the traceback that DOTPEEN_DEBUG=1 shows",
        )
        sys.exit(1)


def _terminated(signum: int, frame: object) -> None:
    raise Terminated


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _report(message: str, hint: str | None) -> None:
    console = Console(stderr=True, emoji=False)
    said = _printable(message)
    console.print(f"Error: {said}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if hint:
        console.print(f"  → {_printable(hint)}", markup=False, highlight=False, soft_wrap=True)


def _printable(text: str) -> str:
    """Replace what a terminal would obey: messages name files and quote what stands in them."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text
    )
