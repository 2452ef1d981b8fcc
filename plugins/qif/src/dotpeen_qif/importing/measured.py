"""What a measurement says, as the temporary table of results has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context as Arithmetic
from decimal import Decimal
from hashlib import sha1
from math import isfinite
from typing import Final, NamedTuple

from dotpeen.records import Field
from dotpeen_qif.importing import units
from dotpeen_qif.importing.copying import BATCH, NULL, number, text
from dotpeen_qif.importing.source import Source
from dotpeen_qif.model import ItemReference, Measurement, Unit

_WIDE: Final = Arithmetic(prec=2000)
"""More digits than a number of a document can have."""
_USUAL: Final = 2
"""Attributes of a measurement that the MES has columns for: its UUID and its operator."""
OWN: Final = "persistentUuid"
"""How the attribute ends that has a record's UUID."""


@dataclass(frozen=True)
class Precision:
    """What numbers a column says digit for digit, beside those of double precision."""

    places: int | None = None
    """Digits after the point that it has at most."""
    figures: int | None = None
    """Digits that it has at most."""

    @property
    def limited(self) -> bool:
        """Some numbers of double precision are rounded by it."""
        return self.places is not None or self.figures is not None

    def holds(self, value: Decimal) -> bool:
        """Tell whether a number is said by the column without rounding."""
        _, digits, exponent = value.normalize(_WIDE).as_tuple()
        return (self.places is None or -int(exponent) <= self.places) and (
            self.figures is None or len(digits) <= self.figures
        )


def precision_of(column: Field | None) -> Precision:
    """Return what a column says."""
    written = "" if column is None else column.type
    scaled = re.fullmatch(r"numeric\(\d+,(-?\d+)\)", written)
    if scaled is not None:
        return Precision(places=int(scaled[1]))
    if written in ("smallint", "integer", "bigint"):
        return Precision(places=0)
    # Six digits come back from single precision as they went in; seven need not.
    return Precision(figures=6 if written == "real" else None)


@dataclass
class Context:
    """What the measurements of one document have in common."""

    source: Source
    documents: Mapping[str, Source]
    devices: Mapping[str, str | None]
    precision: Precision = Precision()
    """Of the column that measured values go to."""
    cited: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What documents that are not among the files call characteristics, to their UUIDs; by QPId."""
    texts: dict[str, str] = field(default_factory=dict)
    """Texts that come again and again, as COPY reads them."""
    actuals: dict[str, str | None] = field(default_factory=dict)

    def uuid_of(self, actual: str | None) -> str | None:
        """The UUID of what was measured."""
        if actual is not None and not self.actuals:
            self.actuals.update((one.key, one.uuid) for one in self.source.document.actuals)
        return None if actual is None else self.actuals.get(actual)


class Row(NamedTuple):
    """A measurement as `qif_result` has it, without what numbers it."""

    given: str | None
    called: str
    """What is measured: see `called`."""
    item: str
    actual: str | None
    measured: str


def row_of(context: Context, one: Measurement, operator: str | None) -> Row:
    """Return the row of a measurement in a set of results with this operator."""
    item = one.characteristic
    return Row(
        own_uuid(one),
        called(context, item),
        item_of(context, item),
        one.actual,
        measured(context, one, operator),
    )


def own_uuid(one: Measurement) -> str | None:
    """Return the UUID of a measurement, also from its attributes: `QIFMeasurementResult.persistentUuid`."""
    if one.uuid is not None:
        return one.uuid
    for name, value in one.attributes.items():
        if name.endswith(OWN):
            return value
    return None


def derived(space: bytes, name: str) -> str:
    """Return `uuid5`, in a third of its time: what a measurement without a UUID is called at every import."""
    digest = sha1(space + name.encode(), usedforsecurity=False).digest()
    high = digest[6] & 0x0F | 0x50
    variant = digest[8] & 0x3F | 0x80
    whole = (digest[:6] + bytes((high, digest[7], variant)) + digest[9:16]).hex()
    return f"{whole[:8]}-{whole[8:12]}-{whole[12:16]}-{whole[16:20]}-{whole[20:]}"


def plain(value: Decimal) -> bool:
    """Tell whether a column of double precision says a number digit for digit."""
    written, shortest = str(value), repr(float(value))
    if shortest == written or (shortest.endswith(".0") and shortest[:-2] == written):
        return True
    # One of them has an exponent, or digits that the other hasn't.
    return isfinite(float(value)) and f"{Decimal(shortest):f}" == f"{value:f}"


def moment(at: datetime | None) -> str:
    """A moment as COPY reads it, in UTC."""
    if at is None:
        return NULL
    return (at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)).isoformat()


def known(context: Context, item: ItemReference) -> tuple[str, str, Unit | None] | None:
    """Return kind, UUID and unit of what is measured, where one of the files has it."""
    source = context.source if item.document is None else context.documents.get(item.document)
    return None if source is None else source.characteristics.get(item.key)


def called(context: Context, item: ItemReference) -> str:
    """Return what is measured, by a name that is the same in every document that repeats these results."""
    found = known(context, item)
    if found is not None:
        return found[1]
    document = item.document or context.source.document.qpid
    return context.cited.get(document, {}).get(item.key) or f"{document}:{item.key}"


def item_of(context: Context, item: ItemReference) -> str:
    """Return file, document and reference of what is measured, as COPY reads them."""
    if item.document is None:
        return f"{context.source.file}\t{NULL}\t{context.source.file}:{text(item.key)}"
    other = context.documents.get(item.document)
    if other is not None:
        return f"{other.file}\t{NULL}\t{other.file}:{text(item.key)}"
    return f"{NULL}\t{item.document}\t{text(item.key)}"


def measured(context: Context, one: Measurement, operator: str | None) -> str:
    """Return value, factor, quantity, status, device, operator and moment, as COPY reads them."""
    device = context.devices.get(one.device) if one.device else None
    who = one.attributes.get("operator") or one.operator or operator
    words = (word(context, said) for said in (one.status, device, who))
    return "\t".join((number(one.value), scale_of(context, one), *words, moment(one.at)))


def scale_of(context: Context, one: Measurement) -> str:
    """Return factor and quantity of the unit of a measurement, as COPY reads them."""
    unit = one.unit
    if unit is None and one.characteristic.document is not None:
        # The characteristic may be in another unit than the file that has the results.
        unit = context.source.document.units.get("angular" if units.is_angle(one.kind) else "linear")
    if unit is None:
        return f"{NULL}\t{NULL}"
    scale = units.scale_of(unit)
    return f"{number(scale.factor)}\t{scale.quantity}"


def word(context: Context, said: str | None) -> str:
    """Return a text that comes again and again, as COPY reads it."""
    if said is None:
        return NULL
    texts = context.texts
    if said not in texts:
        if len(texts) > BATCH:
            texts.clear()
        texts[said] = text(said)
    return texts[said]


def special(one: Measurement) -> bool:
    """Tell whether a measurement says by itself what the MES has no column for."""
    return (
        one.value is None
        or one.text is not None
        or one.status is None
        or len(one.attributes) > _USUAL
        or any(not name.endswith(OWN) and name != "operator" for name in one.attributes)
    )


def unusual(context: Context, one: Measurement) -> bool:
    """Tell whether the columns of the MES don't say all that the document does."""
    found = known(context, one.characteristic)
    kind, _, unit = found if found is not None else (one.kind, "", None)
    return (
        special(one)
        or one.value is None
        or not plain(one.value)
        or not context.precision.holds(one.value)
        or (one.unit is not None and one.unit != unit)
        or kind != one.kind
    )
