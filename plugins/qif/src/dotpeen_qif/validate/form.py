"""The form of a document: XML without surprises, allowed by the schemas, ids and references that hold."""

from __future__ import annotations

from pathlib import Path

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifFileError
from dotpeen_qif.validate.report import Report
from dotpeen_qif.validate.schema import check_schema, schema_for
from dotpeen_qif.validate.structure import Structure


def validate_form(path: Path, *, schema_dir: Path | None = None, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Return what is wrong with the form of a document; what it says isn't held against itself.

    Raises `QifFileError` when there is no file that could be read, and `ConfigurationError` when `schema_dir` has
    no schemas. That a file isn't XML is a finding like others.
    """
    report = Report(path)
    if schema_dir is not None:
        schema_for(path, schema_dir)  # before anything is read
    try:
        # First what is safe with any file: the schemas' parser sees only what came through this one.
        Structure(path, report, limits, formats=schema_dir is None).check()
        if schema_dir is not None:
            check_schema(path, schema_dir, report, limits)
    except QifFileError:
        raise
    except QifDocumentError as error:
        advice = f" ({error.hint})" if error.hint is not None else ""
        report.add("error", "xml", error.line, f"{error.reason}{advice}")
    return report
