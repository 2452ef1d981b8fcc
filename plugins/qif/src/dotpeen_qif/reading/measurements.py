"""The measurements of a document, read from its file while they are taken: memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from dotpeen_qif.limits import Limits, QifDocumentError
from dotpeen_qif.model import ItemReference, Measurement, Results, Sample, Skimmed
from dotpeen_qif.reading.characteristics import ATTRIBUTE_KIND, kind_of
from dotpeen_qif.reading.elements import Element, ElementReader, Flat, Wanted, Within
from dotpeen_qif.reading.shapes import Leaf, Shape
from dotpeen_qif.reading.skimming import LIST, Take
from dotpeen_qif.reading.values import Units, decimal_of, optional, record_uuid, time_of, uuid_of

_VALUES: Final = ("Value", "RoughnessAverageValue", "PitchDiameter")
_NOTHING: Final[tuple[str, Mapping[str, str]]] = ("", {})
_Part: TypeAlias = tuple[str, Mapping[str, str]]


@dataclass(frozen=True)
class _Readers:
    """What reads the texts of values."""

    number: Callable[[str], Any] = decimal_of
    time: Callable[[str], Any] = time_of
    uuid: Callable[[str], str] = uuid_of


_READERS: Final = _Readers()
_AS_THEY_ARE: Final = _Readers(str, str, str)
"""For templates, which have slots where others have values."""


def stream_results(
    file: Path, sets: Sequence[Results], *, units: Units, external: Mapping[str, str], limits: Limits
) -> Iterator[Results]:
    """Yield the sets of results, each with its measurements, which have to be taken before the next set.

    `sets` is what the sets say of themselves, `external` the QPIds of other documents by their local ids. Raises
    `QifDocumentError` for what can't be understood, and when the file is another one than it was.
    """
    read = _Measurements(file, sets, units, external).read(limits)
    following: list[Results] = []

    def measurements() -> Iterator[Measurement | Skimmed]:
        for found in read:
            if isinstance(found, Results):
                following.append(found)
                return
            yield found

    for _ in measurements():  # up to the first set
        pass
    while following:
        current = measurements()
        yield replace(following.pop(), measurements=models(current), skimmed=current)
        for _ in current:  # what nobody took
            pass


def models(found: Iterable[Measurement | Skimmed]) -> Iterator[Measurement]:
    """Yield each measurement as the model has it."""
    for one in found:
        yield one[0].model(one[1], one[2]) if isinstance(one, tuple) else one


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
        self._found: list[Results | Measurement | Skimmed | QifDocumentError] = []
        self._kinds: dict[str, str] = {}

    def read(self, limits: Limits) -> Iterator[Results | Measurement | Skimmed]:
        """Yield what is found."""
        measurements = {LIST: {"*": Flat(self._add, self._learn)}}
        sets = Within({"MeasuredCharacteristics": measurements}, opened=self._open)
        wanted: Wanted = {"Results": {"MeasurementResultsSet": {"MeasurementResults": sets}}}
        for _ in ElementReader(self._file, wanted, limits).read(self._source):
            for one in self._found:
                if isinstance(one, QifDocumentError):
                    raise one
                yield one
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
            self._found.append(self._model(name, line, leaves))
        except QifDocumentError as error:
            self._found.append(error)  # for its turn, after those before it

    def _learn(self, shape: Shape) -> Take | None:
        try:
            template = self._measurement(shape.name, 0, shape.leaves, _AS_THEY_ARE)
        except ValueError:
            return None  # not with these places left open: each is read by itself

        found, sample = self._found, self._sample(shape, template)

        def take(values: Sequence[str], line: int) -> None:
            nonlocal sample
            if sample.measurement.operator != self._operator:
                sample = self._sample(shape, template)
            found.append((sample, values, line))

        return take

    def _sample(self, shape: Shape, template: Measurement) -> Sample:
        """Return what measurements of a shape are in the current set: they are made when others are read already."""
        operator = self._operator

        def model(values: Sequence[str], line: int) -> Measurement:
            one = self._model(shape.name, line, shape.leaves_of(values))
            return one if one.operator == operator else replace(one, operator=operator)

        return Sample(replace(template, operator=operator), model)

    def _model(self, name: str, line: int, leaves: Sequence[Leaf]) -> Measurement:
        try:
            return self._measurement(name, line, leaves, _READERS)
        except ValueError as error:
            hint = "validate the file: it has errors"
            raise QifDocumentError(self._file, line, f"{name}: {error}", hint=hint) from error

    def _measurement(self, name: str, line: int, leaves: Sequence[Leaf], read: _Readers) -> Measurement:
        parts, attributes = _sort(leaves, read.uuid)
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = kind_of(name, "Measurement")
        value = text = unit = None
        measured = next((parts[part] for part in _VALUES if part in parts), None)
        if measured is not None:
            if kind == ATTRIBUTE_KIND:
                text = measured[0]
            else:
                value = read.number(measured[0])
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
            at=optional(read.time, parts["TimeStamp"][0] if "TimeStamp" in parts else None),
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


def _sort(leaves: Sequence[Leaf], uuid: Callable[[str], str]) -> tuple[dict[str, _Part], dict[str, str]]:
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
                attributes.setdefault(given.get("name", ""), uuid(inner))
                inner = ""
            elif name.startswith("Attribute") and "value" in given:
                attributes.setdefault(given.get("name", ""), given["value"])
            elif name != "OtherCharacteristicStatus":
                inner = inner or text
        elif depth == 3 and name == "Value":
            inner = text
    return parts, attributes
