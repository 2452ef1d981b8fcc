"""Validation of the files of an import: large ones are checked by processes of their own, while they are staged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from dotpeen.errors import DotpeenError
from dotpeen_qif.importing.files import File
from dotpeen_qif.limits import DEFAULT_LIMITS, QifDocumentError
from dotpeen_qif.validate import Report, validate
from dotpeen_qif.validate.aside import FormCheck
from dotpeen_qif.validate.meaning import check_meaning

LARGE: Final = 4 * 1024 * 1024
"""Bytes of a file that is worth a process: beginning one takes as long as checking this much."""


class WrongFilesError(Exception):
    """Files turned out to be wrong when they were staged already."""

    def __init__(self, found: Sequence[tuple[File, DotpeenError]]) -> None:
        self.files = [file for file, _ in found]
        self.errors = [error for _, error in found]
        super().__init__(*self.errors)


class Checks:
    """The checks of one import. Leaving the context ends the processes that still run."""

    def __init__(self, schema_dir: Path | None) -> None:
        self._schema_dir = schema_dir
        self._aside: dict[Path, FormCheck] = {}

    def __enter__(self) -> Checks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for check in self._aside.values():
            check.stop()

    def begin(self, path: Path) -> None:
        """Begin to check a file, where it is large and a core is free; called before it is read."""
        # A file that can't be read is refused by who reads it; without a process it is checked afterwards.
        with suppress(OSError, ValueError):
            if not path.is_file() or path.stat().st_size < LARGE:
                return
            if sum(check.running for check in self._aside.values()) < _cores() - 1:
                self._aside[path] = FormCheck(path, self._schema_dir)

    def checked(self, files: Sequence[File]) -> tuple[list[File], list[DotpeenError]]:
        """Return the files that no error is found in, and an error for each of the others.

        Those that processes are at count as good until `finish`.
        """
        good: list[File] = []
        errors: list[DotpeenError] = []
        for file in files:
            error = None if file.path in self._aside else self._error(file)
            if error is None:
                good.append(file)
            else:
                errors.append(error)
        return good, errors

    def finish(self, files: Sequence[File]) -> None:
        """Wait for the processes. Raises `WrongFilesError` where one of these files is wrong."""
        wrong = [(file, self._error(file)) for file in files if file.path in self._aside]
        found = [(file, error) for file, error in wrong if error is not None]
        if found:
            raise WrongFilesError(found)

    def _error(self, file: File) -> DotpeenError | None:
        aside = self._aside.get(file.path)
        if aside is None:
            report = validate(
                file.path, schema_dir=self._schema_dir, measurements=False, document=file.document
            )
        else:
            report = aside.report()
            if report.ok:
                check_meaning(file.path, report, DEFAULT_LIMITS, measurements=False, document=file.document)
            report.sort()
        return None if report.ok else _refusal(file.path, report)


def _refusal(path: Path, report: Report) -> DotpeenError:
    first = report.errors[0]
    others = len(report.errors) + report.left_out - 1
    return QifDocumentError(
        str(path),
        first.line,
        first.message + (f", and {others} more errors" if others else ""),
        hint=f"dotpeen qif validate {path} lists them",
    )


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
