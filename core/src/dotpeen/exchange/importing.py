"""Imports: files given to a plugin's importer, in one transaction that is committed only where nothing is wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from dotpeen.contributions import Importer, ImportReport, ImportRequest
from dotpeen.database import connect
from dotpeen.errors import ConfigurationError, DotpeenError, PluginError
from dotpeen.exchange.formats import check_options
from dotpeen.exchange.models import Models
from dotpeen.plugins.reason import TRACEBACK_HINT, reason
from dotpeen.registry import Registry


@dataclass(frozen=True)
class Imported:
    """What an import did, or would have done."""

    report: ImportReport
    committed: bool


def run_import(
    plugin: str,
    importer: Importer,
    url: str,
    registry: Registry,
    files: Sequence[Path],
    *,
    dry_run: bool = False,
    partial: bool = False,
    options: Mapping[str, str] | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    models: Models | None = None,
) -> Imported:
    """Import files, all of them or nothing. `models` is of `models_of`.

    Nothing is written with `dry_run`, after an error, and, without `partial`, where anything of the files conflicts
    or fits no record. Raises what the importer raises on purpose (`DotpeenError`), `InvalidQueryError` for an option
    that it hasn't, `ConfigurationError` for a file that can't be read, `psycopg.Error` where the database went away,
    and `PluginError` for everything else.
    """
    check_options(importer.options, options or {})
    for file in files:
        _check(file)
    connection = connect(url, purpose="import", autocommit=False)
    try:
        request = ImportRequest(
            registry, connection, tuple(files), dry_run, partial, dict(options or {}), progress
        )
        if models is not None:
            request = replace(request, digital_models=models)
        report = _read(plugin, importer, request)
        commit = not dry_run and (report.clean or partial)
        if commit:
            connection.commit()
        else:
            connection.rollback()
        return Imported(report, commit)
    finally:
        connection.close()


def _read(plugin: str, importer: Importer, request: ImportRequest) -> ImportReport:
    try:
        report = importer.read(request)
    except (DotpeenError, psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except Exception as error:
        why = reason(error, getattr(importer.read, "__module__", None))
        hint = f"nothing was written; {TRACEBACK_HINT}"
        raise PluginError(plugin, f"format {importer.format} failed: {why}", hint=hint) from error
    if not isinstance(report, ImportReport):
        raise PluginError(
            plugin, f"format {importer.format} gave no ImportReport", hint="nothing was written"
        )
    return report


def _check(file: Path) -> None:
    reason = None
    try:
        file.stat()
    except FileNotFoundError:
        reason = "there is no such file"
    except OSError as error:
        reason = "its symbolic links lead in a circle" if error.errno == errno.ELOOP else error.strerror
    else:
        if not file.is_file():
            reason = "it is no file"
        elif not os.access(file, os.R_OK):
            reason = "permission denied"
    if reason is not None:
        raise ConfigurationError(f"{file} can't be read: {reason}")
