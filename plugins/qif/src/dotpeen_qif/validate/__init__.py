"""Validation of QIF documents: against the schemas, and what these can't say."""

from __future__ import annotations

from pathlib import Path

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifFileError
from dotpeen_qif.model import Document
from dotpeen_qif.validate.form import validate_form
from dotpeen_qif.validate.meaning import check_meaning
from dotpeen_qif.validate.report import Check, Finding, Report, Severity

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
    read already: without it the file is read for that. 20 bytes of each measurement are held, to compare their UUIDs.

    Raises `QifFileError` when there is no file that could be read, and `ConfigurationError` when `schema_dir` has
    no schemas. That a file isn't XML is a finding like others.
    """
    report = validate_form(path, schema_dir=schema_dir, limits=limits)
    if report.ok:
        try:
            check_meaning(path, report, limits, measurements=measurements, document=document)
        except QifFileError:
            raise
        except QifDocumentError as error:
            report.add("error", "value", error.line, error.reason)
    report.sort()
    return report
