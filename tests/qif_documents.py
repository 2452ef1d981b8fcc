"""QIF documents that we made up, for tests: whole ones, and such as harm whoever reads them carelessly."""

from __future__ import annotations

from collections.abc import Iterator
from io import RawIOBase

DOCUMENT = "5c0de000-0000-4000-8000-000000000001"
PART = "5c0de000-0000-4000-8000-000000000002"
PLAN = "5c0de000-0000-4000-8000-000000000003"
BORE = "5c0de000-0000-4000-8000-00000000000a"
FACE = "5c0de000-0000-4000-8000-00000000000b"
LABEL = "5c0de000-0000-4000-8000-00000000000c"
RESULTS = "5c0de000-0000-4000-8000-000000000004"
MEASURED = "5c0de000-0000-4000-8000-000000000005"

WHOLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<QIFDocument xmlns="http://qifstandards.org/xsd/qif3" versionQIF="3.0.0" idMax="30">
  <QPId>{DOCUMENT}</QPId>
  <Header><Application><Name>Ägir</Name></Application><Scope>Plan and results</Scope></Header>
  <StandardsDefinitions n="1">
    <Standard id="1">
      <Organization><StandardsOrganizationEnum>ISO</StandardsOrganizationEnum></Organization>
      <Designator>1101</Designator>
    </Standard>
  </StandardsDefinitions>
  <PreInspectionTraceability>
    <InspectingOrganization><Name>Gauge room</Name></InspectingOrganization>
    <OrderNumber>WO-7</OrderNumber>
    <ReferencedQIFPlanInstance><ItemQPId>{PLAN}</ItemQPId></ReferencedQIFPlanInstance>
    <FormalStandardId>1</FormalStandardId>
  </PreInspectionTraceability>
  <FileUnits>
    <PrimaryUnits>
      <LinearUnit>
        <SIUnitName>meter</SIUnitName><UnitName>mm</UnitName><UnitConversion><Factor>0.001</Factor></UnitConversion>
      </LinearUnit>
    </PrimaryUnits>
    <OtherUnits n="1">
      <LinearUnit>
        <SIUnitName>meter</SIUnitName><UnitName>inch</UnitName><UnitConversion><Factor>0.0254</Factor></UnitConversion>
      </LinearUnit>
    </OtherUnits>
  </FileUnits>
  <MeasurementResources>
    <MeasurementDevices n="1">
      <Caliper id="2"><Name>Caliper 3</Name><SerialNumber>C-3</SerialNumber></Caliper>
    </MeasurementDevices>
  </MeasurementResources>
  <Product>
    <PartSet n="1">
      <Part id="3" label="Bracket">
        <UUID>{PART}</UUID><ModelNumber>PN-7</ModelNumber><Version>B</Version>
      </Part>
    </PartSet>
  </Product>
  <Characteristics>
    <FormalStandardId>1</FormalStandardId>
    <CharacteristicDefinitions n="4">
      <DiameterCharacteristicDefinition id="5">
        <Tolerance><MaxValue linearUnit="inch">0.01</MaxValue><MinValue linearUnit="inch">-0.01</MinValue>
          <DefinedAsLimit>false</DefinedAsLimit></Tolerance>
      </DiameterCharacteristicDefinition>
      <FlatnessCharacteristicDefinition id="6"><ToleranceValue>0.05</ToleranceValue></FlatnessCharacteristicDefinition>
      <UserDefinedAttributeCharacteristicDefinition id="7">
        <WhatToMeasure>Is the label on?</WhatToMeasure>
      </UserDefinedAttributeCharacteristicDefinition>
      <LengthCharacteristicDefinition id="8">
        <Tolerance><DefinitionId>4</DefinitionId><DefinedAsLimit>false</DefinedAsLimit></Tolerance>
      </LengthCharacteristicDefinition>
    </CharacteristicDefinitions>
    <DefaultToleranceDefinitions n="1">
      <LinearTolerance id="4"><MaxValue>0.3</MaxValue><MinValue>-0.1</MinValue></LinearTolerance>
    </DefaultToleranceDefinitions>
    <CharacteristicNominals n="4">
      <DiameterCharacteristicNominal id="9">
        <CharacteristicDefinitionId>5</CharacteristicDefinitionId><TargetValue>12.000</TargetValue>
      </DiameterCharacteristicNominal>
      <FlatnessCharacteristicNominal id="10">
        <CharacteristicDefinitionId>6</CharacteristicDefinitionId>
      </FlatnessCharacteristicNominal>
      <UserDefinedAttributeCharacteristicNominal id="11">
        <CharacteristicDefinitionId>7</CharacteristicDefinitionId>
        <PassValues n="1"><StringValue>yes</StringValue></PassValues>
        <FailValues n="2"><StringValue>no</StringValue><StringValue>torn</StringValue></FailValues>
      </UserDefinedAttributeCharacteristicNominal>
      <LengthCharacteristicNominal id="12">
        <CharacteristicDefinitionId>8</CharacteristicDefinitionId><TargetValue>80</TargetValue>
      </LengthCharacteristicNominal>
    </CharacteristicNominals>
    <CharacteristicItems n="4">
      <DiameterCharacteristicItem id="13">
        <Description>Bore for the pin</Description>
        <Name>Bore</Name>
        <CharacteristicDesignator>
          <Designator>1</Designator><UUID>{BORE.upper()}</UUID>
          <Criticality><LevelEnum>CRITICAL</LevelEnum></Criticality>
        </CharacteristicDesignator>
        <CharacteristicNominalId>9</CharacteristicNominalId>
      </DiameterCharacteristicItem>
      <FlatnessCharacteristicItem id="14">
        <CharacteristicDesignator><Designator>2</Designator><UUID>{FACE}</UUID></CharacteristicDesignator>
        <CharacteristicNominalId>10</CharacteristicNominalId>
      </FlatnessCharacteristicItem>
      <UserDefinedAttributeCharacteristicItem id="15">
        <CharacteristicDesignator><Designator>3</Designator><UUID>{LABEL}</UUID></CharacteristicDesignator>
        <CharacteristicNominalId>11</CharacteristicNominalId>
      </UserDefinedAttributeCharacteristicItem>
      <LengthCharacteristicItem id="16">
        <CharacteristicDesignator><Designator>4</Designator></CharacteristicDesignator>
        <CharacteristicNominalId>12</CharacteristicNominalId>
      </LengthCharacteristicItem>
    </CharacteristicItems>
  </Characteristics>
  <Plan>
    <Version><ThisInstanceQPId>{PLAN}</ThisInstanceQPId></Version>
    <UnorderedPlanRoot><Steps n="1"><MeasureEvaluateAll/></Steps></UnorderedPlanRoot>
  </Plan>
  <Results>
    <MeasurementResultsSet n="1">
      <MeasurementResults id="17">
        <InspectionTraceability>
          <InspectionEnd>2026-03-04T10:00:00+01:00</InspectionEnd>
          <InspectionOperator><Name>op 5</Name></InspectionOperator>
        </InspectionTraceability>
        <ThisResultsInstanceQPId> {RESULTS} </ThisResultsInstanceQPId>
        <MeasuredCharacteristics>
          <CharacteristicMeasurements n="3">
            <DiameterCharacteristicMeasurement id="18">
              <Attributes n="2">
                <AttributeQPId name="Result.persistentUuid"><Value>{MEASURED}</Value></AttributeQPId>
                <AttributeStr name="probe" value="long"/>
              </Attributes>
              <Status><CharacteristicStatusEnum>PASS</CharacteristicStatusEnum></Status>
              <CharacteristicItemId>13</CharacteristicItemId>
              <TimeStamp>2026-03-04T09:30:00.25Z</TimeStamp>
              <ActualComponentId>21</ActualComponentId>
              <MeasurementDeviceIds n="1"><Id>2</Id></MeasurementDeviceIds>
              <Value linearUnit="inch">0.4731</Value>
            </DiameterCharacteristicMeasurement>
            <FlatnessCharacteristicMeasurement id="19">
              <Status><CharacteristicStatusEnum>FAIL</CharacteristicStatusEnum></Status>
              <CharacteristicItemId>14</CharacteristicItemId>
              <ActualComponentId>21</ActualComponentId>
              <Value>0.0710</Value>
            </FlatnessCharacteristicMeasurement>
            <UserDefinedAttributeCharacteristicMeasurement id="20">
              <Status><OtherCharacteristicStatus>later</OtherCharacteristicStatus></Status>
              <CharacteristicItemId>15</CharacteristicItemId>
              <Value>yes</Value>
            </UserDefinedAttributeCharacteristicMeasurement>
          </CharacteristicMeasurements>
        </MeasuredCharacteristics>
        <InspectionStatus><InspectionStatusEnum>FAIL</InspectionStatusEnum></InspectionStatus>
        <ActualComponentIds n="1"><Id>21</Id></ActualComponentIds>
      </MeasurementResults>
    </MeasurementResultsSet>
    <ActualComponentSets n="1">
      <ActualComponentSet n="1">
        <ActualComponent id="21">
          <SerialNumber>SN 1</SerialNumber>
          <Status><InspectionStatusEnum>FAIL</InspectionStatusEnum></Status>
          <Traceability><LotNumber>L-9</LotNumber><ManufacturingProcessId>30</ManufacturingProcessId></Traceability>
        </ActualComponent>
      </ActualComponentSet>
    </ActualComponentSets>
  </Results>
  <ManufacturingProcessTraceabilities n="1">
    <ManufacturingProcessTraceability id="30"><Job>WO-7</Job></ManufacturingProcessTraceability>
  </ManufacturingProcessTraceabilities>
</QIFDocument>
"""
"""A valid document with a plan and its results."""

OPENED = '<QIFDocument xmlns="http://qifstandards.org/xsd/qif3" versionQIF="3.0.0" idMax="1">'


def billion_laughs() -> str:
    """An entity of ten of an entity of ten …: a gigabyte in a kilobyte."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE QIFDocument [<!ENTITY l0 "lol">{entities}]>{OPENED}<QPId>&l9;</QPId></QIFDocument>'


def quadratic_blowup() -> str:
    """One long entity, used very often."""
    return f'<!DOCTYPE QIFDocument [<!ENTITY a "{"a" * 50_000}">]>{OPENED}{"&a;" * 50_000}</QIFDocument>'


def measurements(count: int) -> Iterator[str]:
    """A document of results with that many measurements, in pieces."""
    head, rest = WHOLE.split('<CharacteristicMeasurements n="3">')
    tail = rest.split("</CharacteristicMeasurements>")[1]
    yield f'{head.replace("30", str(count + 100))}<CharacteristicMeasurements n="{count}">\n'
    for number in range(count):
        yield (
            f'<DiameterCharacteristicMeasurement id="{number + 101}">\n<Attributes n="1">'
            f'<AttributeQPId name="persistentUuid"><Value>5c0de111-0000-4000-8000-{number:012x}</Value></AttributeQPId>'
            "</Attributes>\n<Status><CharacteristicStatusEnum>PASS</CharacteristicStatusEnum></Status>\n"
            "<CharacteristicItemId>13</CharacteristicItemId><ActualComponentId>21</ActualComponentId>\n"
            f"<Value>12.{number % 100:03}</Value></DiameterCharacteristicMeasurement>\n"
        )
    yield f"</CharacteristicMeasurements>{tail}"


class Endless(RawIOBase):
    """A file that begins in some way and then goes on for ever."""

    name = "endless.qif"

    def __init__(self, start: bytes, more: bytes) -> None:
        self._next = start
        self._more = more * (65536 // len(more) + 1)
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return what begins it, and from then on the same again and again."""
        piece, self._next = self._next, self._more
        self.given += len(piece)
        return piece
