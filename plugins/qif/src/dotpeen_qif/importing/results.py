"""Results on their way to the temporary tables: the many, read one by one and held in memory by the thousand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha1
from math import isfinite
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from dotpeen.database import Connection
from dotpeen_qif import store
from dotpeen_qif.exporting.results import results_uuid
from dotpeen_qif.importing import units
from dotpeen_qif.importing.copying import BATCH, NULL, Rows, flag, number, text
from dotpeen_qif.importing.targets import Role
from dotpeen_qif.model import Measurement, Results, Unit

if TYPE_CHECKING:
    from dotpeen_qif.importing.staging import Source

_USUAL: Final = 2
"""Attributes of a measurement that the MES has columns for: its UUID and its operator."""
OWN: Final = "persistentUuid"
"""How the attribute ends that has a record's UUID."""
_RESULT: Final = (
    *("n", "file", "line", "position", "results_n", "given", "stated", "key", "item_file", "item_document"),
    *("item_ref", "actual_ref", "value", "factor", "quantity", "status", "device", "operator", "at", "said"),
    "attribute",
)
_SETS: Final = (
    "n",
    "file",
    "line",
    "position",
    "uuid",
    "plan",
    "order_ref",
    "actual_ref",
    "own",
    "at",
    "said",
)


@dataclass(frozen=True)
class Set:
    """A set of results that doesn't say what was measured."""

    uuid: str
    ref: str
    line: int


@dataclass
class Read:
    """What was read of one document."""

    count: int = 0
    """Sets of results."""
    unnamed: list[Set] = field(default_factory=list)


@dataclass
class _Context:
    """What the measurements of one document have in common."""

    source: Source
    documents: Mapping[str, Source]
    devices: Mapping[str, str | None]
    texts: dict[str, str] = field(default_factory=dict)
    """Texts that come again and again, as COPY reads them."""
    actuals: dict[str, str | None] = field(default_factory=dict)

    def uuid_of(self, actual: str | None) -> str | None:
        """The UUID of what was measured."""
        if actual is not None and not self.actuals:
            self.actuals.update((one.key, one.uuid) for one in self.source.document.actuals)
        return None if actual is None else self.actuals.get(actual)


class Sets:
    """The sets of results of all files, and their measurements."""

    def __init__(
        self,
        connection: Connection,
        number_of: Callable[[], int],
        key: Callable[[Role], str],
        ordered: Callable[[Source, Results], str],
    ) -> None:
        """`ordered` puts the work order of a set of results into its table and returns its reference."""
        self._next = number_of
        self._key = key
        self._ordered = ordered
        self._sets = Rows(connection, "qif_results", _SETS)
        self._rows = Rows(connection, "qif_result", _RESULT)
        self.measurements = 0

    def read(self, source: Source, documents: Mapping[str, Source], order: str | None) -> Read:
        """Read a document's results to their end. `order` is the reference of its work order."""
        document = source.document
        devices = {device.key: device.name for device in document.devices}
        context = _Context(source, documents, devices)
        cited = document.traceability.plans if document.traceability is not None else ()
        read = Read()
        for position, results in enumerate(document.results):
            read.count += 1
            uuid = results.uuid or str(uuid5(UUID(document.qpid), f"results:{position}"))
            n = self._next()
            nameless = f"results {n}"
            # One thing was measured, several were, or nobody says what.
            only = results.actuals[0] if len(results.actuals) == 1 else None if results.actuals else nameless
            if only is nameless:
                read.unnamed.append(Set(uuid, nameless, results.line))
            plan = results.plan.plan if results.plan else cited[0].plan if len(cited) == 1 else None
            unusual = self._measurements(context, results, uuid, n, only)
            ordered = order
            if results.order is not None or results.order_uuid is not None:
                ordered = self._ordered(source, results)
            # Sets that the export would make by itself needn't be kept.
            own = not unusual and uuid == results_uuid(context.uuid_of(only), plan, results.order_uuid)
            self._sets.add(
                *(str(n), str(source.file), str(results.line), str(position), uuid, plan or NULL),
                *(text(ordered), NULL if only is None else text(f"{source.file}:{only}"), flag(own)),
                *(moment(results.at or document.created), text(json.dumps(store.said(results)))),
            )
        self._sets.flush()
        self._rows.flush()
        return read

    def _measurements(self, context: _Context, results: Results, uuid: str, n: int, only: str | None) -> bool:
        """Read the measurements of one set; returns whether one of them says what the MES has no column for."""
        file = context.source.file
        space = UUID(uuid).bytes
        repeated: Counter[str] = Counter()
        add = self._rows.line
        found = False
        for position, one in enumerate(results.measurements):
            given = one.uuid or own_attribute(one)
            stated = given is not None
            if given is None:
                item = _called(context, one)
                repeated[item] += 1
                given = derived(space, f"{item}:{repeated[item]}")
            actual = one.actual or only
            unusual = _unusual(context, one)
            found = found or unusual
            add(
                "\t".join(
                    (
                        f"{self._next()}\t{file}\t{one.line}\t{position}\t{n}\t{given}",
                        "t" if stated else "f",
                        self._key("result"),
                        _item(context, one),
                        NULL if actual is None else f"{file}:{text(actual)}",
                        _measured(context, one, results.operator),
                        text(json.dumps(store.said(one))) if unusual else NULL,
                        flag(one.text is not None),
                    )
                )
            )
            self.measurements += 1
            if self._rows.waiting >= BATCH:
                self._rows.flush()
        return found


def own_attribute(one: Measurement) -> str | None:
    """Return the UUID of a measurement from its attributes: `QIFMeasurementResult.persistentUuid`."""
    if one.attributes:
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


def _known(context: _Context, one: Measurement) -> tuple[str, str, Unit | None] | None:
    """Kind, UUID and unit of what is measured, where one of the files has it."""
    item = one.characteristic
    source = context.source if item.document is None else context.documents.get(item.document)
    return None if source is None else source.characteristics.get(item.key)


def _called(context: _Context, one: Measurement) -> str:
    """What is measured, by a name that is the same in every document that repeats these results."""
    item, known = one.characteristic, _known(context, one)
    return known[1] if known is not None else f"{item.document or context.source.document.qpid}:{item.key}"


def _item(context: _Context, one: Measurement) -> str:
    item = one.characteristic
    if item.document is None:
        return f"{context.source.file}\t{NULL}\t{context.source.file}:{text(item.key)}"
    other = context.documents.get(item.document)
    if other is not None:
        return f"{other.file}\t{NULL}\t{other.file}:{text(item.key)}"
    return f"{NULL}\t{item.document}\t{text(item.key)}"


def _measured(context: _Context, one: Measurement, operator: str | None) -> str:
    value, unit = one.value, one.unit
    factor = quantity = NULL
    if unit is None and one.characteristic.document is not None:
        # The characteristic may be in another unit than the file that has the results.
        unit = context.source.document.units.get("angular" if units.is_angle(one.kind) else "linear")
    if unit is not None:
        scale = units.scale_of(unit)
        factor, quantity = number(scale.factor), scale.quantity
    texts = context.texts
    who = one.attributes.get("operator") or one.operator or operator
    values = (one.status, context.devices.get(one.device) if one.device else None, who)
    words = []
    for word in values:
        if word is None:
            words.append(NULL)
            continue
        if word not in texts:
            if len(texts) > BATCH:
                texts.clear()
            texts[word] = text(word)
        words.append(texts[word])
    return "\t".join((number(value), factor, quantity, *words, moment(one.at)))


def _unusual(context: _Context, one: Measurement) -> bool:
    """Tell whether the columns of the MES don't say all that the document does."""
    known = _known(context, one)
    kind, _, unit = known if known is not None else (one.kind, "", None)
    return (
        one.value is None
        or not plain(one.value)
        or (one.unit is not None and one.unit != unit)
        or one.text is not None
        or one.status is None
        or kind != one.kind
        or len(one.attributes) > _USUAL
        or any(not name.endswith(OWN) and name != "operator" for name in one.attributes)
    )
