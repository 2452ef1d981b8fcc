"""The measurements of a document, read from its file while they are taken: memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from dotpeen_qif.limits import Limits, QifDocumentError
from dotpeen_qif.model import ItemReference, Measurement, Results
from dotpeen_qif.reading.characteristics import ATTRIBUTE_KIND, kind_of
from dotpeen_qif.reading.elements import Element, ElementReader, Flat, Leaf, Wanted, Within
from dotpeen_qif.reading.values import Units, decimal_of, optional, record_uuid, time_of, uuid_of

_VALUES: Final = ("Value", "RoughnessAverageValue", "PitchDiameter")
_NOTHING: Final[tuple[str, Mapping[str, str]]] = ("", {})
_Part: TypeAlias = tuple[str, Mapping[str, str]]


def stream_results(
    file: Path, sets: Sequence[Results], *, units: Units, external: Mapping[str, str], limits: Limits
) -> Iterator[Results]:
    """Yield the sets of results, each with its measurements, which have to be taken before the next set.

    `sets` is what the sets say of themselves, `external` the QPIds of other documents by their local ids. Raises
    `QifDocumentError` for what can't be understood, and when the file is another one than it was.
    """
    read = _Measurements(file, sets, units, external).read(limits)
    following: list[Results] = []

    def measurements() -> Iterator[Measurement]:
        for found in read:
            if isinstance(found, Results):
                following.append(found)
                return
            yield found

    for _ in measurements():  # up to the first set
        pass
    while following:
        current = measurements()
        yield replace(following.pop(), measurements=current)
        for _ in current:  # what nobody took
            pass


class _Measurements:
    """The second pass over a document: sets of results, each followed by its measurements."""

    def __init__(
        self, file: Path, sets: Sequence[Results], units: Units, external: Mapping[str, str]
    ) -> None:
        self._file = str(file)
        self._source = file
        self._sets = sets
        self._units = units
        self._external = external
        self._opened = 0
        self._operator: str | None = None
        self._found: list[Results | Measurement] = []
        self._kinds: dict[str, str] = {}

    def read(self, limits: Limits) -> Iterator[Results | Measurement]:
        """Yield what is found."""
        measurements = {"CharacteristicMeasurements": {"*": Flat(self._add)}}
        sets = Within({"MeasuredCharacteristics": measurements}, opened=self._open)
        wanted: Wanted = {"Results": {"MeasurementResultsSet": {"MeasurementResults": sets}}}
        for _ in ElementReader(self._file, wanted, limits).read(self._source):
            yield from self._found
            self._found.clear()
        if self._opened != len(self._sets):
            raise QifDocumentError(self._file, None, "the file was changed while it was read")

    def _open(self, element: Element) -> None:
        if self._opened >= len(self._sets) or self._sets[self._opened].line != element.line:
            raise QifDocumentError(self._file, element.line, "the file was changed while it was read")
        results = self._sets[self._opened]
        self._opened += 1
        self._operator = results.operator
        self._found.append(results)

    def _add(self, name: str, _: Mapping[str, str], line: int, leaves: list[Leaf]) -> None:
        try:
            self._found.append(self._measurement(name, line, leaves))
        except ValueError as error:
            hint = "validate the file: it has errors"
            raise QifDocumentError(self._file, line, f"{name}: {error}", hint=hint) from error

    def _measurement(self, name: str, line: int, leaves: list[Leaf]) -> Measurement:
        parts, attributes = _sort(leaves)
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = kind_of(name, "Measurement")
        value = text = unit = None
        measured = next((parts[part] for part in _VALUES if part in parts), None)
        if measured is not None:
            if kind == ATTRIBUTE_KIND:
                text = measured[0]
            else:
                value = decimal_of(measured[0])
                unit = self._units.named(measured[1]) if measured[1] else None
        return Measurement(
            characteristic=self._reference(parts),
            kind=kind,
            uuid=record_uuid(attributes) if attributes else None,
            value=value,
            unit=unit,
            text=text,
            status=parts.get("Status", _NOTHING)[0] or None,
            actual=parts.get("ActualComponentId", _NOTHING)[0] or None,
            device=parts.get("MeasurementDeviceIds", _NOTHING)[0] or None,
            operator=self._operator,
            at=optional(time_of, parts["TimeStamp"][0] if "TimeStamp" in parts else None),
            attributes=attributes,
            line=line,
        )

    def _reference(self, parts: Mapping[str, _Part]) -> ItemReference:
        if "CharacteristicItemId" not in parts:
            raise ValueError("there is no CharacteristicItemId")
        key, given = parts["CharacteristicItemId"]
        remote = given.get("xId")
        if remote is None:
            return ItemReference(key)
        document = self._external.get(key)
        if document is None:
            raise ValueError(f"refers to {key[:40]!r}, which ExternalQIFReferences does not have")
        return ItemReference(remote, document)


def _sort(leaves: list[Leaf]) -> tuple[dict[str, _Part], dict[str, str]]:
    """Return the parts of a measurement by name, with status and first device as text; and named attributes."""
    parts: dict[str, _Part] = {}
    attributes: dict[str, str] = {}
    inner = ""  # the first text within the part that has not ended yet
    for depth, name, given, text in leaves:
        if depth == 1:
            if name not in parts:
                parts[name] = (inner or text, given)
            inner = ""
        elif depth == 2:
            if name == "AttributeQPId":
                attributes.setdefault(given.get("name", ""), uuid_of(inner))
                inner = ""
            elif name.startswith("Attribute") and "value" in given:
                attributes.setdefault(given.get("name", ""), given["value"])
            elif name != "OtherCharacteristicStatus":
                inner = inner or text
        elif depth == 3 and name == "Value":
            inner = text
    return parts, attributes
