"""Small QIF documents as a measuring machine's software would write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

SPACE = UUID("5f1d6f0c-2a8c-4b5e-9f3d-1f0f5a4b7c11")
PART = str(uuid5(SPACE, "part"))
PLAN = str(uuid5(SPACE, "plan"))
MILLIMETRES = ("mm", "meter", "0.001", "Linear")
INCHES = ("inch", "meter", "0.0254", "Linear")


def uuid(name: str) -> str:
    """The same UUID for the same name."""
    return str(uuid5(SPACE, name))


@dataclass(frozen=True)
class Item:
    """A length."""

    name: str
    nominal: str = "10"
    upper: str = "0.5"
    lower: str = "-0.5"
    designator: str = "1"
    uuid: str | None = ""
    """None: none; empty: made of the name."""
    kind: str = "Length"

    @property
    def given(self) -> str | None:
        return uuid(self.name) if self.uuid == "" else self.uuid


@dataclass(frozen=True)
class Measured:
    """A measured length."""

    item: int
    value: str | None
    status: str = "PASS"
    uuid: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Doc:
    """A document."""

    name: str = "plan"
    items: Sequence[Item] = ()
    plan: str | None = PLAN
    part: str | None = PART
    number: str | None = "PN-1"
    results: Sequence[Measured] = ()
    results_uuid: str | None = None
    serial: str | None = "SN-1"
    serial_uuid: str | None = None
    order: str | None = None
    external: Doc | None = None
    uri: str | None = None
    unit: tuple[str, str, str, str] = MILLIMETRES
    others: Sequence[tuple[str, str, str, str]] = ()
    at: str | None = "2026-03-01T08:00:00Z"
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def qpid(self) -> str:
        return uuid(f"document {self.name}")

    def write(self, folder: Path) -> Path:
        """Write it to a file of its name."""
        path = folder / f"{self.name}.qif"
        path.write_text(self.text, encoding="utf-8")
        return path

    @property
    def text(self) -> str:
        parts = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<QIFDocument xmlns="http://qifstandards.org/xsd/qif3" versionQIF="3.0.0" idMax="9999">',
            f"<QPId>{self.qpid}</QPId>",
        ]
        if self.external is not None:
            uri = f"{self.external.name}.qif" if self.uri is None else self.uri
            parts.append(
                '<ExternalQIFReferences n="1"><ExternalQIFDocument id="900">'
                f"<QPId>{self.external.qpid}</QPId><URI>{uri}</URI></ExternalQIFDocument></ExternalQIFReferences>"
            )
        parts.append(
            '<StandardsDefinitions n="1"><Standard id="901"><Organization><StandardsOrganizationEnum>ISO'
            "</StandardsOrganizationEnum></Organization><Designator>1101</Designator></Standard></StandardsDefinitions>"
        )
        if self.order is not None:
            parts.append(
                f"<PreInspectionTraceability><OrderNumber>{self.order}</OrderNumber>"
                "<FormalStandardId>901</FormalStandardId></PreInspectionTraceability>"
            )
        parts.append(self._units())
        if self.part is not None or self.number is not None:
            known = f"<UUID>{self.part}</UUID>" if self.part else ""
            number = f"<ModelNumber>{self.number}</ModelNumber>" if self.number else ""
            parts.append(f'<Product><PartSet n="1"><Part id="1">{known}{number}</Part></PartSet></Product>')
        parts += self._characteristics()
        if self.results or self.results_uuid:
            parts += self._results()
        return "\n".join(parts) + "\n</QIFDocument>\n"

    def _units(self) -> str:
        def unit(one: tuple[str, str, str, str]) -> str:
            name, si, factor, quantity = one
            return (
                f"<{quantity}Unit><SIUnitName>{si}</SIUnitName><UnitName>{name}</UnitName>"
                f"<UnitConversion><Factor>{factor}</Factor></UnitConversion></{quantity}Unit>"
            )

        others = "".join(map(unit, self.others))
        more = f'<OtherUnits n="{len(self.others)}">{others}</OtherUnits>' if others else ""
        return f"<FileUnits><PrimaryUnits>{unit(self.unit)}</PrimaryUnits>{more}</FileUnits>"

    def _characteristics(self) -> list[str]:
        if not self.items:
            return []
        n = len(self.items)
        definitions, nominals, items = [], [], []
        for place, one in enumerate(self.items):
            definitions.append(
                f'<{one.kind}CharacteristicDefinition id="{10 + place}"><Tolerance><MaxValue>{one.upper}</MaxValue>'
                f"<MinValue>{one.lower}</MinValue><DefinedAsLimit>false</DefinedAsLimit></Tolerance>"
                f"</{one.kind}CharacteristicDefinition>"
            )
            nominals.append(
                f'<{one.kind}CharacteristicNominal id="{40 + place}"><CharacteristicDefinitionId>{10 + place}'
                f"</CharacteristicDefinitionId><TargetValue>{one.nominal}</TargetValue>"
                f"</{one.kind}CharacteristicNominal>"
            )
            known = f"<UUID>{one.given}</UUID>" if one.given else ""
            items.append(
                f'<{one.kind}CharacteristicItem id="{70 + place}"><Name>{one.name}</Name><CharacteristicDesignator>'
                f"<Designator>{one.designator}</Designator>{known}</CharacteristicDesignator>"
                f"<CharacteristicNominalId>{40 + place}</CharacteristicNominalId></{one.kind}CharacteristicItem>"
            )
        version = f"<Version><ThisInstanceQPId>{self.plan}</ThisInstanceQPId></Version>" if self.plan else ""
        return [
            "<Characteristics><FormalStandardId>901</FormalStandardId>",
            f'<CharacteristicDefinitions n="{n}">',
            *definitions,
            f'</CharacteristicDefinitions><CharacteristicNominals n="{n}">',
            *nominals,
            f'</CharacteristicNominals><CharacteristicItems n="{n}">',
            *items,
            "</CharacteristicItems></Characteristics>",
            f'<Plan>{version}<UnorderedPlanRoot><Steps n="1"><MeasureEvaluateAll/></Steps></UnorderedPlanRoot></Plan>',
        ]

    def _results(self) -> list[str]:
        own = self.results_uuid or uuid(f"results of {self.name}")
        lines = []
        for place, one in enumerate(self.results):
            known = (
                '<Attributes n="1"><AttributeQPId name="persistentUuid"><Value>'
                f"{one.uuid}</Value></AttributeQPId></Attributes>"
                if one.uuid
                else ""
            )
            item = f"<CharacteristicItemId>{70 + one.item}</CharacteristicItemId>"
            if self.external is not None:
                item = f'<CharacteristicItemId xId="{70 + one.item}">900</CharacteristicItemId>'
            at = f"<TimeStamp>{self.at}</TimeStamp>" if self.at else ""
            unit = f' linearUnit="{one.unit}"' if one.unit else ""
            value = f"<Value{unit}>{one.value}</Value>" if one.value is not None else ""
            lines.append(
                f'<LengthCharacteristicMeasurement id="{200 + place}">{known}<Status><CharacteristicStatusEnum>'
                f"{one.status}</CharacteristicStatusEnum></Status>{item}{at}"
                f"<ActualComponentId>150</ActualComponentId>{value}</LengthCharacteristicMeasurement>"
            )
        serial = f"<SerialNumber>{self.serial}</SerialNumber>" if self.serial else ""
        known = (
            '<Attributes n="1"><AttributeQPId name="SerializedPart.persistentUuid"><Value>'
            f"{self.serial_uuid}</Value></AttributeQPId></Attributes>"
            if self.serial_uuid
            else ""
        )
        measurements = (
            [
                f'<MeasuredCharacteristics><CharacteristicMeasurements n="{len(lines)}">',
                *lines,
                "</CharacteristicMeasurements></MeasuredCharacteristics>",
            ]
            if lines
            else []
        )
        return [
            '<Results><MeasurementResultsSet n="1"><MeasurementResults id="151">',
            f"<ThisResultsInstanceQPId>{own}</ThisResultsInstanceQPId>",
            *measurements,
            "<InspectionStatus><InspectionStatusEnum>PASS</InspectionStatusEnum></InspectionStatus>",
            '<ActualComponentIds n="1"><Id>150</Id></ActualComponentIds></MeasurementResults></MeasurementResultsSet>',
            '<ActualComponentSets n="1"><ActualComponentSet n="1">',
            f'<ActualComponent id="150">{known}{serial}<Status><InspectionStatusEnum>PASS</InspectionStatusEnum>',
            "</Status></ActualComponent></ActualComponentSet></ActualComponentSets></Results>",
        ]
