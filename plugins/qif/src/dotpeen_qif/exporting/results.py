"""Results as QIF writes them, straight from the rows that PostgreSQL streams: 3 µs of Python for each.

Whatever repeats (statuses, devices, operators) is made once; what is left is one `%` of a template per measurement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

from dotpeen_qif import store
from dotpeen_qif.exporting import text
from dotpeen_qif.exporting.characteristics import Fitted, value_attributes
from dotpeen_qif.exporting.head import reference_to
from dotpeen_qif.exporting.markup import attributes, element, ids, leaf
from dotpeen_qif.exporting.measured import ActualRow, LotRow, MeasurementRow
from dotpeen_qif.model import Actual, Quantity, Unit
from dotpeen_qif.settings import STATUSES

RESULTS_NAMESPACE: Final = UUID("6f0d4c7e-6f5b-5a53-9a41-0a4f6f4d8a10")
"""Of the UUIDs of result sets, which have no record in the MES."""
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_CACHE: Final = 10_000


class Cache(dict[str | None, str]):
    """What was made of a value before; forgets everything when it is full."""

    def __init__(self, make: Callable[[str | None], str]) -> None:
        self._make = make

    def __missing__(self, value: str | None) -> str:
        if len(self) >= _CACHE:
            self.clear()
        made = self[value] = self._make(value)
        return made


def results_uuid(serial: str | None, plan: str | None, order: str | None) -> str:
    """Return the UUID of what was found on one thing by one plan for one order, by their UUIDs."""
    return str(uuid5(RESULTS_NAMESPACE, f"{plan or ''}/{serial or ''}/{order or ''}"))


class ResultsWriter:
    """Writes the measurements of one document, in the order they come."""

    def __init__(
        self,
        fitted: Sequence[Fitted],
        primary: Mapping[Quantity, Unit],
        *,
        plans: Sequence[str | None],
        devices: Mapping[str, int],
        statuses: Mapping[str, str],
        first_actual: int,
        first_id: int,
        document: tuple[int, str] | None,
        seen: store.Seen,
    ) -> None:
        """`document`: local id and QPId of the document that has the plan; None: this one.

        `seen`: what of the kept words of a measurement counts.
        """
        self._fitted = fitted
        self._seen = seen
        self._plans = plans
        self._document = document
        self._actual = first_actual - 1
        self._id = first_id - 1
        self._templates = [_template(one, primary, document) for one in fitted]
        self._status = Cache(lambda word: _status(word, statuses))
        self._device = Cache(
            lambda name: "" if name is None else ids("MeasurementDeviceIds", [devices[name]])
        )
        self._operator = Cache(
            lambda name: "" if name is None else element("AttributeStr", name="operator", value=name)
        )
        self._serial = ""

    def write(self, rows: Iterable[MeasurementRow]) -> Iterator[str]:
        """Yield `MeasurementResults` and what is in them, piece by piece."""
        left = 0
        end = ""
        measurement = self._measurement
        for fixed, value, status, device, operator, order in rows:
            parts = fixed.split("\t")
            if not left:
                left = int(parts[0])
                start, end = self._group(parts, order)
                yield start
            yield measurement(parts, value, status, device, operator)
            left -= 1
            if not left:
                yield end

    def _measurement(
        self,
        parts: list[str],
        value: str | None,
        status: str | None,
        device: str | None,
        operator: str | None,
    ) -> str:
        self._id += 1
        _, _, _, serial, _, _, position, uuid, at = parts
        template, opened, kept_as_text = self._templates[int(position)]
        said = "" if operator is None else self._operator[operator]
        if value is None:
            written = ""
        elif kept_as_text:
            written = f"<Value>{text.text(value)}</Value>"
        elif _NUMBER.fullmatch(value) is None:
            written, odd = _odd_number(value, opened)
            said += odd
        else:
            written = f"{opened}{value}</Value>"
        if uuid:
            said = _UUID % uuid + said
        return template % (
            self._id,
            f'<Attributes n="{said.count("<Attribute")}">{said}</Attributes>' if said else "",
            self._status[status],
            f"<TimeStamp>{at.rstrip('0').rstrip('.')}Z</TimeStamp>" if at else "",
            f"<ActualComponentId>{self._actual}</ActualComponentId>" if serial else "",
            "" if device is None else self._device[device],
            written,
        )

    def _group(self, parts: list[str], order_number: str | None) -> tuple[str, str]:
        count, failed, passed, serial, plan_index, order = parts[:6]
        if serial != self._serial:
            self._serial = serial
            self._actual += bool(serial)
        plan = self._plans[int(plan_index)]
        return self._enclosing(
            int(count),
            uuid=results_uuid(serial, plan, order),
            trace=self._trace(plan, order, order_number),
            status=verdict(failed=failed == "t", passed=passed == "t"),
            actuals=[self._actual] if serial else [],
        )

    def _trace(self, plan: str | None, order: str | None, order_number: str | None) -> str:
        """Say by which plan and for which order something was measured."""
        trace = leaf("OrderNumber", order_number)
        if plan is not None:
            trace += reference_to(plan, self._document[1] if self._document else None)
        if order:
            trace += attributes({"WorkOrder.persistentUuid": order}, {})
        return element("InspectionTraceability", trace) if trace else ""

    def _enclosing(
        self, count: int, *, uuid: str, trace: str, status: str, actuals: Sequence[int]
    ) -> tuple[str, str]:
        """Return the beginning and the end of a `MeasurementResults`."""
        self._id += 1
        start = f'<MeasurementResults id="{self._id}">{trace}{leaf("ThisResultsInstanceQPId", uuid)}'
        end = (
            element("InspectionStatus", leaf("InspectionStatusEnum", status))
            + ids("ActualComponentIds", actuals)
            + "</MeasurementResults>\n"
        )
        if count:
            start += f'<MeasuredCharacteristics><CharacteristicMeasurements n="{count}">\n'
            end = "</CharacteristicMeasurements></MeasuredCharacteristics>" + end
        return start, end


_UUID: Final = '<AttributeQPId name="QIFMeasurementResult.persistentUuid"><Value>%s</Value></AttributeQPId>'


def _odd_number(value: str, opened: str) -> tuple[str, str]:
    """Write a number with an exponent; what is no number as an attribute."""
    try:
        decimal = Decimal(value)
    except ArithmeticError:
        decimal = Decimal("NaN")
    if decimal.is_finite():
        return f"{opened}{text.number(decimal)}</Value>", ""
    return "", element("AttributeStr", name="measuredValue", value=value)


def verdict(*, failed: bool, passed: bool) -> str:
    """Return the status of several measurements: one that failed fails all, and all have to pass."""
    return "FAIL" if failed else "PASS" if passed else "UNKNOWN"


def write_actual(
    row: ActualRow,
    actual_id: int,
    first_lot: int,
    names: Sequence[str],
    seen: store.Seen,
    lot_names: Sequence[str],
) -> str:
    """Write an `ActualComponent`. `names` are those of the attributes, `seen` what of its kept words counts.

    `lot_names` are those of a lot's attributes, which documents say of it once.
    """
    uuid, number, values, lot, rank, failed, passed, said, held, now = row
    actual = Actual(
        uuid, number, lot, status=verdict(failed=failed, passed=passed), attributes=_texts(names, values)
    )
    if said is not None:
        then = json.loads(held or "{}")
        actual = store.merged(actual, json.loads(said), then, json.loads(now or "{}"), seen)
    trace = leaf("LotNumber", actual.lot)
    if rank is not None:
        trace += leaf("ManufacturingProcessId", str(first_lot + rank - 1))
    content = (
        attributes({"SerializedPart.persistentUuid": uuid}, _own(actual.attributes, lot_names))
        + leaf("SerialNumber", actual.serial)
        + element(
            "Status", leaf("InspectionStatusEnum", actual.status or verdict(failed=failed, passed=passed))
        )
        + (element("Traceability", trace) if trace else "")
    )
    return element("ActualComponent", content, id=actual_id) + "\n"


def _own(said: Mapping[str, str], lot_names: Sequence[str]) -> dict[str, str]:
    """Leave out what is said of the lot, and UUIDs that have their place."""
    others = {"lotNumber", *lot_names}
    return {
        name: value
        for name, value in said.items()
        if name not in others and not name.endswith(".persistentUuid")
    }


def write_lot(row: LotRow, lot_id: int, names: Sequence[str]) -> str:
    """Write a lot, as a `ManufacturingProcessTraceability`: its UUID may stand in a document only once."""
    uuid, number, values = row
    content = attributes(
        {"MaterialLot.persistentUuid": uuid}, {"lotNumber": number or "", **_texts(names, values)}
    )
    return element("ManufacturingProcessTraceability", content, id=lot_id) + "\n"


def _texts(names: Sequence[str], values: Sequence[str | None]) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _status(word: str | None, statuses: Mapping[str, str]) -> str:
    if word is None:
        return "<Status><CharacteristicStatusEnum>UNDEFINED</CharacteristicStatusEnum></Status>"
    meant = statuses.get(word, word)
    if meant in STATUSES:
        return element("Status", leaf("CharacteristicStatusEnum", meant))
    return element("Status", leaf("OtherCharacteristicStatus", word))


def _template(
    one: Fitted, primary: Mapping[Quantity, Unit], document: tuple[int, str] | None
) -> tuple[str, str, bool]:
    """Return a measurement with places for what differs, the beginning of its value, and whether that is a text."""
    tag = f"{one.kind.stem}CharacteristicMeasurement"
    item = f"<CharacteristicItemId>{one.item}</CharacteristicItemId>"
    if document is not None:
        item = f'<CharacteristicItemId xId="{one.item}">{document[0]}</CharacteristicItemId>'
    before = "".join(
        element(name, leaf("CoordinateEnum", one.said.details.get(name, value)))
        for name, value in one.kind.before_value
    )
    value = element("Value", "\0", **value_attributes(one, primary)).split("\0")[0]
    whole = f'<{tag} id="%d">%s%s{_plain(item)}%s%s%s{_plain(before)}%s</{tag}>\n'
    return whole, value, one.kind.shape == "attribute"


def _plain(markup: str) -> str:
    return markup.replace("%", "%%")
