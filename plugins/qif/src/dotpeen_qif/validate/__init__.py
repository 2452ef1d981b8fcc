"""Validation of QIF documents: against the schemas, and what these can't say."""

from __future__ import annotations

from pathlib import Path

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifFileError
from dotpeen_qif.model import Document
from dotpeen_qif.validate.meaning import check_meaning
from dotpeen_qif.validate.report import Check, Finding, Report, Severity
from dotpeen_qif.validate.schema import check_schema, load_schema
from dotpeen_qif.validate.structure import Structure

__all__ = ["Check", "Finding", "Report", "Severity", "validate"]


def validate(
    path: Path,
    *,
    schema_dir: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
    measurements: bool = True,
    document: Document | None = None,
) -> Report:
    """Return all that is wrong with a document.

    Without `schema_dir` it isn't checked against the schemas, only for what they can't say. `measurements` False
    leaves out the comparison of every stated status with the tolerance. `document` is what the file says, where it was
    read already: without it the file is read for that. 50 bytes of each measurement are held, to compare their UUIDs.

    Raises `QifFileError` when there is no file that could be read, and `ConfigurationError` when `schema_dir` has
    no schemas. That a file isn't XML is a finding like others.
    """
    report = Report(path)
    if schema_dir is not None:
        load_schema(schema_dir)
    check: Check = "xml"
    try:
        # First what is safe with any file: the schemas' parser sees only what came through this one.
        Structure(path, report, limits, formats=schema_dir is None).check()
        if schema_dir is not None:
            check_schema(path, schema_dir, report, limits)
        if report.ok:
            check = "value"
            check_meaning(path, report, limits, measurements=measurements, document=document)
    except QifFileError:
        raise
    except QifDocumentError as error:
        advice = f" ({error.hint})" if error.hint is not None and check == "xml" else ""
        report.add("error", check, error.line, f"{error.reason}{advice}")
    report.sort()
    return report
