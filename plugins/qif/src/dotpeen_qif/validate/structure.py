"""What holds across a document and the schemas can't say, or can't say in time: counts, ids, references, UUIDs.

One pass. Of measurements, ids are kept as bits and UUIDs as hashes: 20 bytes for each, 20 MB for a million.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from dotpeen_qif.limits import Limits, QifLimitError
from dotpeen_qif.model import VERSION
from dotpeen_qif.reading.elements import LocalNames, check_root
from dotpeen_qif.reading.shapes import Shape
from dotpeen_qif.reading.skimming import LIST, Skimmer, Take
from dotpeen_qif.reading.values import uuid_of
from dotpeen_qif.reading.xml import XmlStream, read_chunks
from dotpeen_qif.validate.alike import Look, take_alike
from dotpeen_qif.validate.ids import Ids, Lines, id_of
from dotpeen_qif.validate.report import Check, Report, Severity

_NO_REFERENCES: Final = frozenset({"EntityId", "EmployeeId", "DMEDecisionId"})
_TARGETS: Final[Mapping[str, str]] = {
    "FormalStandardId": "Standard",
    "CharacteristicDefinitionId": "CharacteristicDefinition",
    "CharacteristicNominalId": "CharacteristicNominal",
    "CharacteristicItemId": "CharacteristicItem",
    "ActualComponentId": "ActualComponent",
    "ActualComponentIds": "ActualComponent",
    "ManufacturingProcessId": "ManufacturingProcessTraceability",
    "EntityExternalIds": "Entity",
}
"""What references have to lead to, by the end of its name; others may lead to anything that has an id."""
_SAME_KIND: Final = frozenset(
    {"CharacteristicDefinitionId", "CharacteristicNominalId", "CharacteristicItemId"}
)
_ASPECTS: Final = ("Definition", "Nominal", "Item", "Measurement")
_NOT_UNIQUE: Final = frozenset(
    {
        "PreInspectionTraceability",
        "Traceability",
        "Tolerance",
        "MeasureEvaluateSpecified",
        "MeasureEvaluateAll",
    }
)
"""Elements whose named UUIDs are not among those that have to be unique."""
_LONG: Final = 10_000
_OWN_QPIDS: Final = frozenset({"ThisInstanceQPId", "ThisStatisticalStudyResultsInstanceQPId"})


_Reference: TypeAlias = tuple[str, str]
"""Name of the reference, name of the element that refers where it matters."""


class Structure:
    """Checks the structure of a document while it is parsed.

    With `formats` False, what ids, references and UUIDs look like is left to the schemas.
    """

    def __init__(self, file: Path, report: Report, limits: Limits, *, formats: bool = True) -> None:
        self._stream = XmlStream(str(file), limits)
        self._file = file
        self._limits = limits
        self._report = report
        self._formats = formats
        self._names: list[str] = []
        self._pieces: list[str] = []
        self._texts: dict[str, Look | None] = {}
        self._ids = Ids()
        self._named: dict[int, str] = {}
        self._external: set[str] = set()
        self._references: dict[_Reference, dict[int, int]] = {}
        self._qpids: dict[str, int] = {}
        self._designators: dict[str, int] = {}
        self._owned: dict[str, tuple[str, int]] = {}
        self._measured = Lines()
        self._id_max: int | None = None
        self._skimmed = 0

    def check(self) -> None:
        """Read the document and report. Raises `QifDocumentError` when it can't be read."""
        pieces = self._pieces
        skimmer = Skimmer(self._stream, self._is_listing, self._learn, self._listen())
        for chunk in read_chunks(self._file, self._limits):
            skimmer.feed(chunk)
            if len(pieces) > 1 and sum(map(len, pieces)) > _LONG:
                pieces[:] = ["-"]  # a text that long is no number and no UUID
        skimmer.close()
        self._check_references()
        self._check_owned()
        self._check_measured()

    def _listen(self) -> Callable[[int, int], None]:
        """Have every element reported; returns what counts those that are not."""
        # Closures over plain variables, as this runs for every element of the document.
        names, pieces, stream, report = self._names, self._pieces, self._stream, self._report
        local, texts = LocalNames(), self._texts
        given: list[Mapping[str, str]] = []
        children = [0]
        elements = 0
        deepest, most = self._limits.depth, self._limits.elements

        def start(name: str, attributes: Mapping[str, str]) -> None:
            nonlocal elements
            elements += 1
            children[-1] += 1
            children.append(0)
            names.append(local[name])
            given.append(attributes)
            pieces.clear()
            if len(names) > deepest:
                raise stream.beyond(f"elements are nested more than {deepest} deep")
            if elements > most:
                raise beyond()
            if attributes and "id" in attributes and " " not in names[-1]:
                self._define(names[-1], attributes["id"])
            if len(names) == 1:
                check_root(stream, names[0], attributes)
                self._check_version(attributes)

        def end(name: str) -> None:
            count, attributes = children.pop(), given.pop()
            if count:
                if "n" in attributes and attributes["n"].strip() != str(count) and " " not in names[-1]:
                    report.add(
                        "warning",
                        "count",
                        stream.line,
                        f"{names[-1]} says n={attributes['n'][:20]} and has {count}",
                    )
            elif pieces:
                own = names[-1]
                if own not in texts:
                    texts[own] = self._meaning(own)
                taken = texts[own]
                if taken is not None:
                    taken(names, "".join(pieces).strip(), attributes)
            pieces.clear()
            names.pop()

        def passed(parts: int, more: int) -> None:
            nonlocal elements
            self._stand(0)
            children[-1] += parts
            elements += more
            if elements > most:
                raise beyond()

        def beyond() -> QifLimitError:
            return stream.beyond(f"more than {most:,} elements")

        stream.call(start, end, pieces.append)
        return passed

    def _is_listing(self) -> bool:
        return bool(self._names) and self._names[-1] == LIST

    def _learn(self, shape: Shape) -> Take | None:
        return take_alike(shape, self._names, self._meaning, self._define, self._stand)

    def _stand(self, line: int) -> None:
        """What is found next is in this line; 0: where the parser is."""
        self._skimmed = line

    @property
    def _line(self) -> int:
        return self._skimmed or self._stream.line

    def _meaning(self, name: str) -> Look | None:
        """Return what looks at the texts of elements with this name."""
        if name in ("UUID", "Value"):
            return self._take_uuid
        if name == "QPId" or name in _OWN_QPIDS:
            return self._take_qpid
        if " " in name:
            return None
        if name.endswith("Id") and not name.endswith("QPId") and name not in _NO_REFERENCES:
            return self._refer
        return None

    def _check_version(self, attributes: Mapping[str, str]) -> None:
        if (version := attributes.get("versionQIF")) != VERSION:
            self._add("error", "schema", f"versionQIF is {version}, not {VERSION}")
        self._id_max = id_of(attributes.get("idMax", "").strip())

    def _define(self, name: str, text: str) -> None:
        number = id_of(text)
        if number is None:
            if self._formats:
                self._add("error", "id", f"{name}: the id {text[:20]!r} is no number without leading zeros")
        elif not self._ids.add(number):
            self._add("error", "id", f"{name}: the id {number} is used before in this document")
        elif not name.endswith("Measurement"):
            self._named[number] = name
            if name == "ExternalQIFDocument":
                self._external.add(text)

    def _refer(self, names: Sequence[str], text: str, attributes: Mapping[str, str]) -> None:
        holder, name = names[-2:]
        if name == "Id":
            name, holder = holder, ""
        if "xId" in attributes:
            if text not in self._external:
                self._add("error", "external", f"{name}: there is no external document {text[:20]}")
            return
        number = id_of(text)
        if number is None:
            if self._formats:
                self._add("error", "reference", f"{name}: {text[:20]!r} is no id")
        elif name in _TARGETS or number not in self._ids:
            reference = (name, holder if name in _SAME_KIND else "")
            lines = self._references.get(reference)
            if lines is None:
                lines = self._references[reference] = {}
            if number not in lines:
                lines[number] = self._line

    def _check_references(self) -> None:
        report = self._report
        for (name, holder), lines in self._references.items():
            wanted = _TARGETS.get(name)
            for target, line in lines.items():
                found = self._named.get(target, "measurement")
                if target not in self._ids:
                    message = f"{name}: nothing in the document has the id {target}"
                    report.add("error", "reference", line, message)
                elif wanted is not None and found != f"{_kind(holder)}{wanted}":
                    # Real files have the wrong standard, and it harms nothing: no value depends on it.
                    severity: Severity = "warning" if name == "FormalStandardId" else "error"
                    message = f"{name}: {target} is a {found}, not a {_kind(holder)}{wanted}"
                    report.add(severity, "reference", line, message)
        if self._id_max is not None and self._id_max < self._ids.largest:
            report.add(
                "warning", "id", None, f"idMax is {self._id_max}, the largest id is {self._ids.largest}"
            )

    def _take_uuid(self, names: Sequence[str], text: str, _: Mapping[str, str]) -> None:
        if names[-1] == "UUID":
            if names[-2] == "CharacteristicDesignator" and names[-3].endswith("Item"):
                self._once(self._designators, text, "the UUID of the designator")
        elif names[-2] == "AttributeQPId" and len(names) > 4:
            owner = names[-4]
            if owner.endswith("CharacteristicMeasurement"):
                self._measured.add(text.lower(), self._line)
            elif owner not in _NOT_UNIQUE and names[-5:-3] != [
                "MeasurementResults",
                "InspectionTraceability",
            ]:
                self._once(self._qpids, text, "the UUID of the attribute")

    def _take_qpid(self, names: Sequence[str], text: str, _: Mapping[str, str]) -> None:
        if names[-1] in _OWN_QPIDS or len(names) == 2:
            self._once(self._qpids, text, f"the {names[-1]}")
            self._owned[text.lower()] = names[-1], self._line

    def _once(self, known: dict[str, int], text: str, what: str) -> None:
        try:
            uuid = uuid_of(text)
        except ValueError as error:
            if self._formats:
                self._add("error", "uuid", f"{what}: {error}")
            return
        line = self._line
        if uuid in known:
            self._add("error", "uuid", f"{what}, {uuid}, is that of line {known[uuid]} already")
        else:
            known[uuid] = line

    def _check_owned(self) -> None:
        """Find UUIDs that a plan, or the document, and a characteristic have."""
        for uuid, (name, line) in self._owned.items():
            if uuid in self._designators:
                message = f"the {name}, {uuid}, is the UUID of the designator in line {self._designators[uuid]}, too"
                self._report.add("error", "uuid", line, message)

    def _check_measured(self) -> None:
        """Find UUIDs that two measurements have."""
        for line, first in self._measured.repeated():
            message = f"the UUID of the measurement is that of the one in line {first} already"
            self._report.add("error", "uuid", line, message)

    def _add(self, severity: Severity, check: Check, message: str) -> None:
        self._report.add(severity, check, self._line, message)


def _kind(holder: str) -> str:
    """Return the start of the names that a reference has to lead to: `LengthItem` for a `LengthMeasurement`."""
    for aspect in _ASPECTS:
        if holder.endswith(aspect):
            return holder.removesuffix(aspect).removesuffix("Characteristic")
    return ""
