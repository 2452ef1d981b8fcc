"""The settings of `[plugins.qif]`: which columns of the MES are what in QIF. The defaults fit the registry's example.

Each section names an entity of the registry and its columns; `""` says that there is no such column. Whether the
columns exist is found out when a database is at hand (`dotpeen_qif.mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from dotpeen_qif.importing.choices import ImportSettings
from dotpeen_qif.kinds import KINDS
from dotpeen_qif.model import Quantity
from dotpeen_qif.units import UNITS

STATUSES: Final = (
    *("PASS", "FAIL", "REWORK", "SYSERROR", "INDETERMINATE", "NOT_ANALYZED", "BASIC_OR_TED", "UNDEFINED"),
)
"""What `CharacteristicStatusEnum` can be."""


def _nothing(value: object) -> object:
    return None if value == "" else value


Column = Annotated[str | None, BeforeValidator(_nothing)]
Columns = tuple[str, ...]


class Model(BaseModel):
    """A part of the settings: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Section(Model):
    """An entity and its columns."""

    links: ClassVar[Mapping[str, str]] = {}
    """Settings that name a column with a reference to another section's records."""
    required: ClassVar[tuple[str, ...]] = ()
    """Settings without which there is nothing to export."""
    not_columns: ClassVar[frozenset[str]] = frozenset({"entity"})

    entity: str

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that each setting names, without those that name none."""
        named: dict[str, tuple[str, ...]] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name not in self.not_columns and value:
                named[name] = value if isinstance(value, tuple) else (value,)
        return named

    @classmethod
    def single_columns(cls) -> tuple[str, ...]:
        """The settings that name one column."""
        return tuple(name for name in cls.model_fields if name not in {*cls.not_columns, "attributes"})


class PartColumns(Section):
    """Parts: `Product/PartSet/Part`."""

    required = ("number",)

    entity: str = "Part"
    number: Column = "partNumber"
    name: Column = None
    revision: Column = None
    description: Column = "description"
    attributes: Columns = ("materialType", "status")
    """Columns that are written as attributes, under their own names; so in every section."""


class PlanColumns(Section):
    """Measurement plans: `Plan`."""

    links = {"part": "part"}
    required = ("part",)

    entity: str = "QIFMeasurementPlan"
    part: Column = "partId"
    number: Column = "planNumber"
    version: Column = "version"
    name: Column = "name"
    attributes: Columns = ("status",)


class CharacteristicColumns(Section):
    """Characteristics: definition, nominal and item."""

    links = {"plan": "plan"}
    required = ("plan",)
    not_columns = frozenset({"entity", "limits"})

    entity: str = "QIFCharacteristic"
    plan: Column = "planId"
    number: Column = "characteristicNumber"
    name: Column = "name"
    kind: Column = "characteristicType"
    balloon: Column = "balloonNumber"
    nominal: Column = "nominalValue"
    upper: Column = "toleranceUpper"
    lower: Column = "toleranceLower"
    unit: Column = "unit"
    limits: StrictBool = False
    """`upper` and `lower` are limits of the value; false: deviations from the nominal."""
    attributes: Columns = ()


class ResultColumns(Section):
    """Measured values: `CharacteristicMeasurement`."""

    links = {"characteristic": "characteristic", "serial": "serial", "order": "order"}
    required = ("characteristic",)

    entity: str = "QIFMeasurementResult"
    characteristic: Column = "characteristicId"
    serial: Column = "serializedPartId"
    order: Column = "workOrderId"
    value: Column = "measuredValue"
    deviation: Column = "deviation"
    """Never written to documents: it is the value without the nominal. Import fills it."""
    status: Column = "status"
    device: Column = "deviceName"
    operator: Column = "operatorBadge"
    at: Column = "measuredAt"


class SerialColumns(Section):
    """Things with a serial number: `ActualComponent`."""

    links = {"part": "part"}
    required = ("number",)

    entity: str = "SerializedPart"
    part: Column = "partId"
    number: Column = "serialNumber"
    lot: Column = "lotNumber"
    """Names the lot by its number."""
    attributes: Columns = ("manufacturingDate", "status")


class LotColumns(Section):
    """Lots: `ManufacturingProcessTraceability`."""

    required = ("number",)

    entity: str = "MaterialLot"
    number: Column = "lotNumber"
    attributes: Columns = ("heatNumber",)


class OrderColumns(Section):
    """Work orders: `InspectionTraceability/OrderNumber`."""

    links = {"part": "part"}
    required = ("number",)

    entity: str = "WorkOrder"
    part: Column = "partId"
    number: Column = "workOrderNumber"


class ChangeColumns(Section):
    """Engineering changes: attributes of the part."""

    links = {"part": "part"}
    required = ("part", "number")

    entity: str = "ECORequest"
    part: Column = "partId"
    number: Column = "ecoNumber"


class DeviceColumns(Section):
    """Measurement devices, found by what `result.device` says."""

    required = ("number",)

    entity: str = "Equipment"
    number: Column = "assetTag"
    description: Column = "name"


class UnitSetting(Model):
    """A unit that the plugin doesn't know: `value * factor + offset` is the value in the SI unit."""

    quantity: Quantity
    factor: Decimal = Field(default=Decimal(1), gt=0)
    offset: Decimal = Decimal(0)
    name: str | None = None
    """What it is called in documents; without: as the MES does."""


class Standard(Model):
    """The standard that tolerances are meant by."""

    organization: Literal["ANSI", "ASME", "BSI", "DIN", "ISO", "JIS"] = "ASME"
    designator: str = Field(default="Y14.5", min_length=1)
    year: str = "2018"


class Settings(Model):
    """What may stand under `[plugins.qif]`."""

    schema_dir: Path | None = None
    """Folder with the XML schemas of QIF as published: it has `QIFApplications/QIFDocument.xsd`."""
    part: PartColumns = PartColumns()
    plan: PlanColumns = PlanColumns()
    characteristic: CharacteristicColumns = CharacteristicColumns()
    result: ResultColumns = ResultColumns()
    serial: SerialColumns = SerialColumns()
    lot: LotColumns = LotColumns()
    order: OrderColumns = OrderColumns()
    change: ChangeColumns = ChangeColumns()
    device: DeviceColumns = DeviceColumns()
    kinds: Mapping[str, str] = {}
    """The MES' words for kinds of characteristics to QIF's, beside those that are known: `BORE = "Diameter"`."""
    units: Mapping[str, UnitSetting] = {}
    """The MES' words for units, beside those that are known."""
    statuses: Mapping[str, str] = {}
    """The MES' words for statuses to QIF's: `OK = "PASS"`."""
    length_unit: str = "mm"
    """What lengths are in where the MES doesn't say; the primary unit of documents that have any in it."""
    angle_unit: str = "degree"
    standard: Standard = Standard()
    imports: ImportSettings = ImportSettings()

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for word, stem in value.items():
            if stem not in KINDS:
                raise ValueError(
                    f"{word}: {stem!r} is no kind that can be written: one of {', '.join(sorted(KINDS))}"
                )
        return value

    @field_validator("statuses")
    @classmethod
    def _statuses(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for word, status in value.items():
            if status not in STATUSES:
                raise ValueError(f"{word}: {status!r} is no status of QIF: one of {', '.join(STATUSES)}")
        return value

    @field_validator("length_unit", "angle_unit")
    @classmethod
    def _default_unit(cls, value: str, info: ValidationInfo) -> str:
        quantity = "linear" if info.field_name == "length_unit" else "angular"
        if value not in UNITS or UNITS[value].quantity != quantity:
            known = sorted({unit.name for unit in UNITS.values() if unit.quantity == quantity})
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
        return value

    @field_validator("units", mode="before")
    @classmethod
    def _units(cls, value: Any) -> Any:
        """Let `KG_CM2 = "MPa"` stand for another name of a unit that is known."""
        if not isinstance(value, Mapping):
            return value
        return {word: _unit(word, unit) if isinstance(unit, str) else unit for word, unit in value.items()}

    def sections(self) -> dict[str, Section]:
        """The sections by their keys."""
        return {
            name: section
            for name in type(self).model_fields
            if isinstance(section := getattr(self, name), Section)
        }


def _unit(word: str, name: str) -> UnitSetting:
    known = UNITS.get(name)
    if known is None:
        raise ValueError(f"{word}: {name!r} is no unit that is known: one of {', '.join(sorted(UNITS))}")
    return UnitSetting(quantity=known.quantity, factor=known.factor, offset=known.offset, name=known.name)
