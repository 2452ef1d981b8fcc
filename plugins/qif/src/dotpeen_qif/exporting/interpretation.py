"""The columns of the MES in the words of QIF, and what documents said where columns couldn't hold it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from dotpeen.database import Connection
from dotpeen_qif import store
from dotpeen_qif.exporting.text import finite
from dotpeen_qif.kinds import stem_of
from dotpeen_qif.mapping import Source
from dotpeen_qif.model import Characteristic, Plan, Product, Tolerance, Unit
from dotpeen_qif.settings import Settings
from dotpeen_qif.units import UNITS

Record = TypeVar("Record", Product, Plan, Characteristic)
_NUMBERS: Final = ("nominal", "tolerance", "unit")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    # Each of the numbers means something else in another unit.
    **dict.fromkeys(("nominal", "upper", "lower", "unit"), _NUMBERS),
    "kind": ("kind", "attribute"),
    "balloon": ("balloon", "designator"),
    "value": ("value", "unit"),
}


_NUMERIC: Final = ("nominal", "upper", "lower", "unit")
_SHOWN: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "part": {one: (one,) for one in ("number", "name", "revision", "description")},
    "plan": {one: (one,) for one in ("number", "version", "name")},
    "characteristic": {
        **{one: (one,) for one in ("number", "name", "kind", "balloon")},
        **dict.fromkeys(("nominal", "tolerance", "unit", "untoleranced", "fit"), _NUMERIC),
        "attribute": ("kind",),
        "what": ("kind",),
        "designator": ("balloon",),
    },
    "serial": {"serial": ("number",), "lot": ("lot",)},
    "result": {
        **{one: (one,) for one in ("value", "status", "operator", "at")},
        "unit": ("value",),
        "text": ("value",),
    },
}
"""Section to field to the settings whose columns partners have to see before they see what a document said of it.

Partners see no other field of a document: no column stands for it that somebody could have exposed.
"""


_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "plan": {"planNumber": "number", "version": "version", "name": "name"},
    "characteristic": {
        "characteristicNumber": "number",
        "characteristicType": "kind",
        "nominalValue": "nominal",
        "toleranceUpper": "upper",
        "toleranceLower": "lower",
        "unit": "unit",
    },
    "result": {"operator": "operator", "measuredValue": "value"},
}
"""Section to the attributes that documents write settings to, beside those of the section's own `attributes`."""


@dataclass(frozen=True)
class Said:
    """What documents said of some records, and what the columns held then: `dotpeen_qif.kept`."""

    by_uuid: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]

    def merged(self, record: Record, row: Mapping[str, Any], source: Source, section: str) -> Record:
        """Return a record with what its document said, where the columns (`=name` in the row) still are the same."""
        said, held = self.by_uuid.get(record.uuid or "", (None, None))
        now = {key[1:]: value for key, value in row.items() if key.startswith("=")}
        return store.merged(record, said, held, now, seen_of(section, source))


def read_said(connection: Connection, uuids: Sequence[str | None]) -> Said:
    """Read what documents said of these records."""
    wanted = [uuid for uuid in uuids if uuid is not None]
    if not wanted:
        return Said({})
    rows = connection.execute(
        "SELECT uuid::text, said, held FROM dotpeen_qif.kept WHERE uuid = ANY(%s::uuid[])", [wanted]
    )
    return Said({uuid: (said, held) for uuid, said, held in rows})


def sources_of(source: Source) -> Mapping[str, Sequence[str]]:
    """Return the columns that each field of the model is made of."""
    made: dict[str, list[str]] = {}
    for setting, column in source.columns.items():
        for made_of in _FIELDS.get(setting, (setting,)):
            made.setdefault(made_of, []).append(column.column)
    return made


def seen_of(section: str, source: Source) -> store.Seen:
    """Return what of the kept words of a section's records its readers may see."""
    made = sources_of(source)
    if section == "serial":
        made = {"serial": made.get("number", ()), "lot": made.get("lot", ())}
    if not source.for_partners:
        return store.Seen(made, _attributes_made(section, source))
    shown = frozenset(
        field for field, needed in _SHOWN[section].items() if all(one in source.columns for one in needed)
    )
    return store.Seen(made, fields=shown)


def _attributes_made(section: str, source: Source) -> Mapping[str, Sequence[str]]:
    """Return the columns that the attributes of a section's records are made of."""
    made: dict[str, Sequence[str]] = {field.name: (field.column,) for field in source.attributes}
    for label, setting in _LABELS.get(section, {}).items():
        column = source.columns.get(setting)
        if column is not None:
            made.setdefault(label, (column.column,))
    return made


def attributes_of(source: Source, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes that a row has, under the names of their columns."""
    pairs = zip(source.attributes, row["attributes"], strict=True)
    return {field.name: value for field, value in pairs if value is not None}


def interpreted(row: Mapping[str, Any], settings: Settings, attributes: Mapping[str, str]) -> Characteristic:
    """Return a characteristic as the MES' columns have it. What no element of QIF holds becomes an attribute."""
    said = dict(attributes)
    for label, column in (("characteristicNumber", "number"), ("characteristicType", "kind")):
        if row[column] is not None:
            said[label] = row[column]
    for label, column in (
        ("nominalValue", "nominal"),
        ("toleranceUpper", "upper"),
        ("toleranceLower", "lower"),
    ):
        if row[column] is not None and finite(row[column]) is None:
            said[label] = row[column]
    unit = _unit(row["unit"], settings)
    if unit is not None and row["unit"] != unit.name:
        said["unit"] = row["unit"]
    upper, lower = finite(row["upper"]), finite(row["lower"])
    tolerance = None
    if upper is not None or lower is not None:
        tolerance = Tolerance(upper, lower, limits=settings.characteristic.limits)
    word = row["kind"] or ""
    stem = settings.kinds.get(word) or stem_of(word)
    number = row["number"]
    return Characteristic(
        uuid=row["uuid"],
        kind=stem or word or "UserDefinedAttribute",
        name=row["name"],
        designator=row["balloon"] or number,
        balloon=row["balloon"],
        number=int(number)
        if number is not None and re.fullmatch(r"-?[0-9]{1,18}", number, re.ASCII)
        else None,
        nominal=finite(row["nominal"]),
        tolerance=tolerance,
        unit=unit,
        attribute=stem == "UserDefinedAttribute",
        attributes=said,
    )


def _unit(word: str | None, settings: Settings) -> Unit | None:
    if not word or not word.strip():
        return None
    setting = settings.units.get(word)
    if setting is not None:
        return Unit(setting.name or word, setting.quantity, setting.factor, setting.offset)
    return UNITS.get(word) or Unit(word, "user", Decimal(1))
