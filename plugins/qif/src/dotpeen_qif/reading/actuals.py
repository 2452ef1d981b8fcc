"""What was measured: actual components, with the traceability of how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from sys import intern

from dotpeen_qif.model import Actual
from dotpeen_qif.reading.elements import Element
from dotpeen_qif.reading.values import attributes_of, optional, record_uuid


@dataclass(frozen=True, slots=True)
class _Process:
    job: str | None
    attributes: Mapping[str, str]


class Actuals:
    """Collects actual components and the processes that made them, and joins them when all are there."""

    def __init__(self) -> None:
        self._actuals: list[tuple[Actual, str | None]] = []
        self._processes: dict[str, _Process] = {}

    def add(self, element: Element) -> None:
        """Take an `ActualComponent`."""
        attributes = attributes_of(element)
        made = element.find("Traceability")
        of_making = attributes_of(made) if made is not None else {}
        actual = Actual(
            uuid=record_uuid(attributes, other_than="lot"),
            serial=element.value("SerialNumber"),
            lot=element.value("Traceability", "LotNumber"),
            lot_uuid=record_uuid(attributes, of="lot") or record_uuid(of_making, of="lot"),
            status=optional(intern, element.value("Status", "InspectionStatusEnum")),
            key=element.attributes.get("id", ""),
            attributes={**of_making, **attributes},
            line=element.line,
        )
        self._actuals.append((actual, element.value("Traceability", "ManufacturingProcessId")))

    def add_process(self, element: Element) -> None:
        """Take a `ManufacturingProcessTraceability`."""
        self._processes[element.attributes.get("id", "")] = _Process(
            element.value("Job"), attributes_of(element)
        )

    def joined(self) -> Iterator[Actual]:
        """Yield the actuals in the order of the document, with what their processes say."""
        for actual, key in self._actuals:
            process = self._processes.get(key) if key is not None else None
            if process is None:
                yield actual
            else:
                lot_uuid = actual.lot_uuid or record_uuid(process.attributes, of="lot")
                attributes = {**process.attributes, **actual.attributes}
                yield replace(actual, job=process.job, lot_uuid=lot_uuid, attributes=attributes)
