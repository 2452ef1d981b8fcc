"""Measurements as imported documents had them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from dotpeen_qif import store
from dotpeen_qif.exporting import text
from dotpeen_qif.exporting.markup import attributes, leaf
from dotpeen_qif.exporting.results import ResultsWriter, results_uuid, verdict
from dotpeen_qif.model import ItemReference, Measurement, Unit

KeptRow: TypeAlias = tuple[Any, ...]
"""Number, failed and passed of the group, the order's number, rank of the thing measured, then `COLUMNS`."""
COLUMNS: Final = (
    *(
        "set",
        "set_said",
        "group_serial",
        "plan",
        "group_order",
        "serial",
        "position",
        "place",
        "uuid",
        "at",
        "value",
    ),
    *("status", "device", "operator", "said", "held", "now", "failed", "passed"),
)


class KeptResultsWriter(ResultsWriter):
    """Writes measurements together with what documents said of them."""

    def write(self, rows: Iterable[KeptRow]) -> Iterator[str]:
        """Yield `MeasurementResults` and what is in them, piece by piece."""
        left = 0
        end = ""
        first_actual = self._actual
        for count, failed, passed, number, rank, *columns in rows:
            row = dict(zip(COLUMNS, columns, strict=True))
            self._actual = first_actual + (rank or 0)
            if not left:
                left = count
                start, end = self._set(row, number, count, verdict(failed=bool(failed), passed=bool(passed)))
                yield start
            if row["position"] is not None:
                yield self._kept_measurement(row)
                left -= 1
            if not left:
                yield end

    @property
    def _judged(self) -> bool:
        """Readers may see values and statuses, and so the verdict on them."""
        return self._seen.fields is None or {"value", "status"} <= self._seen.fields

    def _set(self, row: Mapping[str, Any], number: str | None, count: int, status: str) -> tuple[str, str]:
        plan = None if row["plan"] is None else self._plans[row["plan"]]
        order = row["group_order"]
        uuid = row["set"] or results_uuid(row["group_serial"], plan, order)
        said = json.loads(row["set_said"] or "{}")
        return self._enclosing(
            count,
            uuid=uuid,
            trace=self._trace(plan, order, number),
            status=(said.get("status") if self._judged else None) or status,
            actuals=[self._actual] if row["group_serial"] and row["group_serial"] == row["serial"] else [],
        )

    def _kept_measurement(self, row: Mapping[str, Any]) -> str:
        parts = [
            "",
            "",
            "",
            row["serial"] or "",
            "",
            "",
            str(row["position"]),
            row["uuid"] or "",
            row["at"] or "",
        ]
        if row["said"] is None:
            return self._measurement(parts, row["value"], row["status"], row["device"], row["operator"])
        one = self._fitted[row["position"]]
        value = text.finite(row["value"])
        measurement = Measurement(
            ItemReference(""),
            one.kind.stem,
            uuid=row["uuid"],
            value=value,
            status=row["status"],
            operator=row["operator"],
        )
        held, now = json.loads(row["held"] or "{}"), json.loads(row["now"] or "{}")
        measurement = store.merged(measurement, json.loads(row["said"]), held, now, self._seen)
        return self._said_measurement(parts, row, replace(measurement, uuid=row["uuid"]))

    def _said_measurement(self, parts: list[str], row: Mapping[str, Any], said: Measurement) -> str:
        """Write a measurement as a document had it."""
        self._id += 1
        one = self._fitted[row["position"]]
        template, opened, _ = self._templates[row["position"]]
        texts = dict(said.attributes)
        if said.operator is not None:
            texts.setdefault("operator", said.operator)
        written = ""
        if one.kind.shape == "attribute":
            word = (
                said.text
                if said.text is not None
                else None
                if said.value is None
                else text.number(said.value)
            )
            written = leaf("Value", word)
        elif said.value is not None:
            written = f"{opened}{text.number(_converted(said, one.unit))}</Value>"
        own = {n: v for n, v in texts.items() if not n.endswith("persistentUuid")}
        at = _moment(parts[8]) if said.at is None else _said_moment(said.at)
        whole: str = template % (
            self._id,
            attributes({"QIFMeasurementResult.persistentUuid": said.uuid}, own),
            self._status[said.status],
            leaf("TimeStamp", at),
            f"<ActualComponentId>{self._actual}</ActualComponentId>" if row["serial"] else "",
            "" if row["device"] is None else self._device[row["device"]],
            written,
        )
        return whole


def _converted(said: Measurement, unit: Unit | None) -> Decimal:
    """The value in the unit of its characteristic."""
    value = said.value or Decimal(0)
    if said.unit is None or unit is None or said.unit.name == unit.name:
        return value
    return (value * said.unit.factor + said.unit.offset - unit.offset) / unit.factor


def _moment(at: str) -> str | None:
    return f"{at.rstrip('0').rstrip('.')}Z" if at else None


def _said_moment(at: datetime) -> str | None:
    """As a document had it: in UTC, or without a zone."""
    if at.tzinfo is None:
        return at.isoformat()
    return _moment(at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds"))
