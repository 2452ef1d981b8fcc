"""What a document says, held against itself: tolerances, external documents, stated statuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotpeen_qif.limits import Limits
from dotpeen_qif.model import Characteristic, Document, Results
from dotpeen_qif.reading import read_document
from dotpeen_qif.validate.report import Report
from dotpeen_qif.verdict import limits_of, verdict


def check_meaning(
    file: Path, report: Report, limits: Limits, *, measurements: bool, document: Document | None = None
) -> None:
    """Report contradictions. Raises `QifDocumentError` for a value that can't be understood.

    `document` is what the file says, where it was read already.
    """
    if document is None:
        document = read_document(file, limits=limits)
    _check_external(document, report)
    characteristics: dict[str, Characteristic] = {}
    for plan in document.plans:
        for characteristic in plan.characteristics:
            characteristics[characteristic.key] = characteristic
            _check_tolerance(characteristic, report)
    if measurements:
        for results in document.results:
            _check_results(results, characteristics, report)


def _check_external(document: Document, report: Report) -> None:
    lines: dict[str, int] = {}
    for external in document.external:
        if external.qpid == document.qpid:
            report.add("warning", "external", external.line, "the external document has the QPId of this one")
        elif external.qpid in lines:
            first = lines[external.qpid]
            report.add("warning", "external", external.line, f"the external document is that of line {first}")
        lines.setdefault(external.qpid, external.line)


def _check_tolerance(characteristic: Characteristic, report: Report) -> None:
    tolerance, nominal, line = characteristic.tolerance, characteristic.nominal, characteristic.line
    if tolerance is None:
        return
    what = f"characteristic {characteristic.designator or characteristic.name or characteristic.key}"
    if tolerance.zone is not None and tolerance.zone < 0:
        report.add("error", "tolerance", line, f"{what}: the zone is {tolerance.zone}, less than nothing")
    upper, lower = tolerance.upper, tolerance.lower
    if upper is not None and lower is not None and lower > upper:
        report.add("error", "tolerance", line, f"{what}: the minimum {lower} is above the maximum {upper}")
    elif nominal is not None and tolerance.limits and (bounds := limits_of(tolerance, nominal)):
        least, most = bounds
        if (least is not None and nominal < least) or (most is not None and nominal > most):
            report.add(
                "warning", "tolerance", line, f"{what}: the nominal {nominal} is outside of its limits"
            )


def _check_results(results: Results, characteristics: Mapping[str, Characteristic], report: Report) -> None:
    failed = 0
    for measurement in results.measurements:
        failed += measurement.status == "FAIL"
        if measurement.characteristic.document is not None or measurement.status not in ("PASS", "FAIL"):
            continue
        characteristic = characteristics.get(measurement.characteristic.key)
        if characteristic is None:
            continue
        try:
            computed = verdict(characteristic, measurement)
        except ValueError as error:
            report.add("error", "value", measurement.line, str(error))
            continue
        if computed is not None and computed != measurement.status:
            message = (
                f"the status is {measurement.status}, by value {measurement.value} and tolerance {computed}"
            )
            report.add("warning", "status", measurement.line, message)
    if failed and results.status == "PASS":
        message = f"the results' status is PASS, {failed} of their measurements FAIL"
        report.add("warning", "status", results.line, message)
