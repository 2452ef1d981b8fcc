"""Rows of measurements that look alike: what goes into COPY is put together from their texts.

Only where a measurement says nothing beside what the columns of the MES hold, and says it in the usual way. Every
other one gets its row from the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Final

from dotpeen_qif.importing.copying import BATCH, NULL
from dotpeen_qif.importing.measured import (
    Context,
    called,
    item_of,
    known,
    own_uuid,
    scale_of,
    special,
    word,
)
from dotpeen_qif.model import ItemReference, Sample
from dotpeen_qif.reading.shapes import slot_of

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,17})?", re.ASCII)
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z?", re.ASCII)


def _nothing(_: Sequence[str]) -> None:
    return None


class Alike:
    """Makes the rows of one sample; `usable` is False where none of its measurements is usual."""

    def __init__(self, context: Context, sample: Sample) -> None:
        one = sample.measurement
        self._context = context
        self._precision = context.precision if context.precision.limited else None
        self._one = one
        self._items: dict[str, tuple[str, str] | None] = {}
        self._key = slot_of(one.characteristic.key)
        self._value = slot_of(str(one.value))
        fields = (own_uuid(one), one.status, one.actual, one.device, one.attributes.get("operator"), one.at)
        slots = [None if field is None else slot_of(str(field)) for field in fields]
        self._uuid, self._status, self._actual, self._device, self._operator, self._at = slots
        self.usable = (
            self._key is not None
            and self._value is not None
            and one.unit is None
            and not special(one)
            and all(field is None or slot is not None for field, slot in zip(fields, slots, strict=True))
        )
        self._scale = scale_of(context, one) if self.usable else ""
        common = [slot for slot in (self._status, self._device, self._operator, self._at) if slot is not None]
        self._common = itemgetter(*common) if common else _nothing
        self._rests: dict[tuple[object, str | None], str | None] = {}

    def row(
        self, values: Sequence[str], operator: str | None
    ) -> tuple[str | None, str, str, str | None, str] | None:
        """Return the fields of a `Row` for a measurement with these values; None where the model has to make it.

        `operator` is that of the set of results.
        """
        key, value = values[self._key], values[self._value]  # type: ignore[index]  # `usable`
        item = self._items[key] if key in self._items else self._item(key)
        if item is None or _NUMBER.fullmatch(value) is None:
            return None
        shortest = repr(float(value))
        if shortest != value and shortest != f"{value}.0":
            return None
        precision = self._precision
        if precision is not None and not precision.holds(Decimal(value)):
            return None
        given = None
        if self._uuid is not None:
            given = values[self._uuid]
            if _UUID.fullmatch(given) is None:
                return None
        # Status, device, operator and time are those of the measurement before, more often than not.
        same = self._common(values), operator
        rest = self._rests[same] if same in self._rests else self._rest(same, values, operator)
        if rest is None:
            return None
        actual = None if self._actual is None else values[self._actual]
        return given, item[1], item[0], actual, value + rest

    def _rest(
        self, same: tuple[object, str | None], values: Sequence[str], operator: str | None
    ) -> str | None:
        """Return what stands behind the value, as COPY reads it; None for a time that has to be read."""
        context = self._context
        at: str | None = NULL
        if self._at is not None:
            moment = _MOMENT.fullmatch(values[self._at])
            try:
                at = None if moment is None or datetime.fromisoformat(moment[1]) is None else moment[1]
            except ValueError:
                at = None
        device = None if self._device is None else context.devices.get(values[self._device])
        who = self._one.operator or operator if self._operator is None else values[self._operator]
        rest = None
        if at is not None:
            rest = (
                f"\t{self._scale}\t{word(context, values[self._status])}"  # type: ignore[index]
                f"\t{word(context, device)}\t{word(context, who)}\t{at}"
            )
        if len(self._rests) > BATCH:
            self._rests.clear()
        self._rests[same] = rest
        return rest

    def _item(self, key: str) -> tuple[str, str] | None:
        """Return what is measured as COPY reads it, and what it is called; None where it is of another kind."""
        reference = ItemReference(key, self._one.characteristic.document)
        found = known(self._context, reference)
        item = None
        if found is None or found[0] == self._one.kind:
            item = item_of(self._context, reference), called(self._context, reference)
        if len(self._items) > BATCH:
            self._items.clear()
        self._items[key] = item
        return item
