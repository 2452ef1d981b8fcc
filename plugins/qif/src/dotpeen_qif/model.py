"""What a QIF document says, without its XML and without the MES: plans, characteristics, results.

Numbers are `Decimal`, digit for digit as they stand in the file; UUIDs are text, lower case with hyphens.
`key` is what the parts of one document refer to each other by: the local id of the XML for what was read,
of no meaning outside that document. `line` is the line in the file, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

NAMESPACE: Final = "http://qifstandards.org/xsd/qif3"
VERSION: Final = "3.0.0"

Quantity: TypeAlias = Literal[
    "linear", "angular", "area", "force", "mass", "pressure", "speed", "temperature", "time", "user"
]
"""Of which kind a unit is; `user` are those that QIF calls user-defined."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `value * factor + offset` is the value in the SI unit."""

    name: str
    quantity: Quantity
    factor: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    si_name: str | None = None
    """As in `SIUnitName`: `meter`, `radian`."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a characteristic may be. Every number is in the characteristic's unit."""

    upper: Decimal | None = None
    """`MaxValue`; None where only a minimum is given."""
    lower: Decimal | None = None
    limits: bool = False
    """True: `upper` and `lower` are limits of the value; False: deviations from the nominal."""
    zone: Decimal | None = None
    """`ToleranceValue` of a geometric tolerance: the width or diameter of its zone; the others are None then."""


@dataclass(frozen=True, slots=True)
class Product:
    """A part, assembly or component that plans and results are about."""

    uuid: str | None
    number: str | None = None
    """`ModelNumber`."""
    name: str | None = None
    revision: str | None = None
    """`Version`."""
    description: str | None = None
    kind: Literal["Part", "Assembly", "Component"] = "Part"
    key: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Named attributes as text: UUIDs of `AttributeQPId`, strings of `AttributeStr`."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A characteristic item with its definition and nominal: what has to be measured."""

    uuid: str | None
    """`CharacteristicDesignator/UUID`."""
    kind: str
    """Stem of its QIF elements: `Length`, `Diameter`, `Flatness`, `UserDefinedUnit` …"""
    name: str | None = None
    designator: str | None = None
    """`CharacteristicDesignator/Designator`."""
    balloon: str | None = None
    """The bubble of the drawing, where it is told apart from the designator."""
    number: int | None = None
    """The MES' own number of it."""
    nominal: Decimal | None = None
    """`TargetValue`; None where there is none, as for most geometric tolerances."""
    tolerance: Tolerance | None = None
    unit: Unit | None = None
    """None where the characteristic has no unit, or its document's primary one is meant and isn't given."""
    attribute: bool = False
    """Judged and not measured: a pass/fail or enumerated characteristic."""
    description: str | None = None
    criticality: str | None = None
    """`CharacteristicDesignator/Criticality/LevelEnum`."""
    untoleranced: str | None = None
    """`NonTolerance`, `MEASURED` or `SET`: why there is no tolerance."""
    fit: str | None = None
    """`LimitsAndFitsSpecification`, as `H7`: the standard's tables have its numbers, `tolerance` is None."""
    what: str | None = None
    """`WhatToMeasure` of a user-defined characteristic."""
    pass_values: Sequence[str] = ()
    """Words that an attribute characteristic passes with; those that it fails with are `fail_values`."""
    fail_values: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    """Words that its kind demands, by their element: `MaterialCondition`, `ZoneShape`, `AnalysisMode`, `Direction`."""
    key: str = ""
    """Id of the characteristic item."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A measurement plan; without a `Plan` element in the document, its characteristics alone."""

    uuid: str | None
    """`Version/ThisInstanceQPId`."""
    name: str | None = None
    number: str | None = None
    version: str | None = None
    description: str | None = None
    product: str | None = None
    """Key of the product."""
    characteristics: Sequence[Characteristic] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Actual:
    """A thing that was measured: `ActualComponent`."""

    uuid: str | None = None
    serial: str | None = None
    lot: str | None = None
    lot_uuid: str | None = None
    job: str | None = None
    """`ManufacturingProcessTraceability/Job`."""
    product: str | None = None
    """Key of the product."""
    status: str | None = None
    key: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A measurement device."""

    name: str | None
    serial: str | None = None
    uuid: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class ItemReference:
    """Names a characteristic item: of the document itself, or with `document` of another one."""

    key: str
    document: str | None = None
    """QPId of the document that has the item; None: this one."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured or judged characteristic of one actual."""

    characteristic: ItemReference
    kind: str
    """Stem of the element, as the characteristic's."""
    uuid: str | None = None
    value: Decimal | None = None
    """In `unit`; None where nothing was measured or the result is a text."""
    unit: Unit | None = None
    """None: the characteristic's."""
    text: str | None = None
    """Result of an attribute characteristic: `PASS`, `FAIL` or a word of the enumeration."""
    status: str | None = None
    """`CharacteristicStatusEnum`."""
    actual: str | None = None
    """Key of the actual."""
    device: str | None = None
    """Key of the device."""
    operator: str | None = None
    at: datetime | None = None
    deviation: Decimal | None = None
    designator_uuid: str | None = None
    """Where the measurement itself repeats the designator's UUID."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Measurements that look the same in a file.

    `measurement` is what they have in common, with a slot (`dotpeen_qif.reading.shapes.slot_of`) for every text in
    which they differ, numbers and times included. `model` makes the measurement of values and line; it raises
    `QifDocumentError` for values that can't be understood.
    """

    measurement: Measurement
    model: Callable[[Sequence[str], int], Measurement]


Skimmed: TypeAlias = tuple[Sample, Sequence[str], int]
"""A measurement that was recognized: what it looks like, its values, its line."""


@dataclass(frozen=True, slots=True)
class Results:
    """One `MeasurementResults`: what one inspection found."""

    uuid: str | None
    """`ThisResultsInstanceQPId`."""
    status: str | None = None
    """`InspectionStatusEnum`."""
    actuals: Sequence[str] = ()
    """Keys of the actuals it names."""
    measurements: Iterator[Measurement] | Sequence[Measurement] = ()
    """Read once where it is an iterator: files are larger than memory."""
    skimmed: Iterator[Measurement | Skimmed] | None = None
    """The same measurements, where they are read from a file, for who can do with less than the model of each."""
    at: datetime | None = None
    operator: str | None = None
    """`InspectionTraceability/InspectionOperator/Name`."""
    plan: PlanReference | None = None
    """Where these results cite a plan of their own; else the document's `traceability` says which."""
    order: str | None = None
    """`InspectionTraceability/OrderNumber`, where it isn't the document's."""
    order_uuid: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class PlanReference:
    """The plan that results cite: `ReferencedQIFPlanInstance`."""

    plan: str
    """`ItemQPId`: the plan's `ThisInstanceQPId`."""
    document: str | None = None
    """`DocumentQPId`: that of the document the plan is in."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Traceability:
    """`PreInspectionTraceability`: what was inspected, by which plan, for whom."""

    order: str | None = None
    """`OrderNumber`."""
    order_uuid: str | None = None
    plans: Sequence[PlanReference] = ()
    inspector: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class ExternalDocument:
    """Another QIF document that this one refers to."""

    qpid: str
    uri: str | None = None
    key: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A QIF document."""

    qpid: str
    scope: str | None = None
    created: datetime | None = None
    application: str | None = None
    external: Sequence[ExternalDocument] = ()
    units: Mapping[Quantity, Unit] = field(default_factory=dict)
    """Primary units."""
    products: Sequence[Product] = ()
    plans: Sequence[Plan] = ()
    """More than one only where a site's own software writes several; QIF has one `Plan` in a document."""
    actuals: Sequence[Actual] = ()
    devices: Sequence[Device] = ()
    traceability: Traceability | None = None
    results: Iterator[Results] | Sequence[Results] = ()
