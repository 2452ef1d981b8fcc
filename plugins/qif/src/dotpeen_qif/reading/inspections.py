"""Sets of results without their measurements: which inspection, of what, by which plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from sys import intern
from typing import Any

from dotpeen_qif.model import PlanReference, Results
from dotpeen_qif.reading.elements import Element
from dotpeen_qif.reading.values import attributes_of, optional, time_of, uuid_of


class Inspections:
    """Collects what each `MeasurementResults` says of itself, and the plans that are cited anywhere."""

    def __init__(self) -> None:
        self.results: list[Results] = []
        self.cited: dict[str, PlanReference] = {}
        self._said: dict[str, Any] = {}

    def open(self, element: Element) -> None:
        """Begin the next set; what follows is of this one."""
        self._said = {"uuid": None, "line": element.line}

    def close(self) -> None:
        """End the set."""
        self.results.append(Results(**self._said))

    def take_attributes(self, element: Element) -> None:
        """Take the set's `Attributes`."""
        said = Element("MeasurementResults", {}, element.line, children=[element])
        self._said["attributes"] = attributes_of(said)

    def take_traceability(self, element: Element) -> None:
        """Take the set's `InspectionTraceability`."""
        self._said.update(
            operator=element.value("InspectionOperator", "Name"),
            at=_inspected(element),
            plan=self.cite(element),
            order=element.value("OrderNumber"),
            order_uuid=attributes_of(element).get("WorkOrder.persistentUuid"),
        )

    def take_qpid(self, element: Element) -> None:
        """Take `ThisResultsInstanceQPId`."""
        self._said["uuid"] = uuid_of(element.text)

    def take_status(self, element: Element) -> None:
        """Take `InspectionStatus`."""
        self._said["status"] = optional(intern, element.value("InspectionStatusEnum"))

    def take_actuals(self, element: Element) -> None:
        """Take `ActualComponentIds`."""
        self._said["actuals"] = tuple(child.text for child in element.all("Id"))

    def take_shared_traceability(self, element: Element) -> None:
        """Take the `InspectionTraceability` of `Results`, which stands for every set that says nothing itself."""
        self.cite(element)
        operator, at = element.value("InspectionOperator", "Name"), _inspected(element)
        for index, results in enumerate(self.results):
            self.results[index] = replace(results, operator=results.operator or operator, at=results.at or at)

    def cite(self, element: Element) -> PlanReference | None:
        """Note the plan that a traceability refers to, and return it."""
        reference = element.find("ReferencedQIFPlanInstance")
        if reference is None:
            return None
        cited = PlanReference(
            plan=uuid_of(reference.value("ItemQPId") or ""),
            document=optional(uuid_of, reference.value("DocumentQPId")),
            line=reference.line,
        )
        return self.cited.setdefault(cited.plan, cited)


def _inspected(element: Element) -> datetime | None:
    return optional(time_of, element.value("InspectionEnd") or element.value("InspectionStart"))
