import os, sys
from pathlib import Path
from .mes import *


def test_try(template_database, standards):
    mes = Mes(template_database("qif_empty", build))
    for name in sorted((standards / "qif" / "samples").glob("*.QIF")) + sorted(
        (standards / "qif" / "examples").glob("*.qif")
    ):
        url = template_database("qif_empty", build)
        mes = Mes(url)
        try:
            report = mes.load(
                name, create=EVERYTHING, part="UNKNOWN", at="2026-01-01T00:00:00", unnamed="yes"
            )
            print(name.name, counts(report))
            for i in report.items[:5]:
                print("    ", i)
        except Exception as e:
            import traceback

            print(name.name, "!!", type(e).__name__, str(e)[:600])
            if os.environ.get("TB"):
                traceback.print_exc()
                break


def test_big(template_database, tmp_path):
    import time, resource, random
    from uuid import uuid4

    N = int(os.environ.get("N", "20000"))
    PER = 20
    mes = Mes(template_database("qif_empty", build))
    f = tmp_path / "big.qif"
    from lxml import etree

    chars = 20
    with f.open("w") as o:
        w = o.write
        w(
            '<?xml version="1.0" encoding="UTF-8"?>\n<QIFDocument xmlns="http://qifstandards.org/xsd/qif3" versionQIF="3.0.0" idMax="99999999">\n<QPId>%s</QPId>\n<StandardsDefinitions n="1"><Standard id="9"><Organization><StandardsOrganizationEnum>ASME</StandardsOrganizationEnum></Organization><Designator>Y14.5</Designator></Standard></StandardsDefinitions>'
            % uuid4()
        )
        w(
            "<FileUnits><PrimaryUnits><LinearUnit><SIUnitName>meter</SIUnitName><UnitName>mm</UnitName><UnitConversion><Factor>0.001</Factor></UnitConversion></LinearUnit></PrimaryUnits></FileUnits>"
        )
        w(
            '<Product><PartSet n="1"><Part id="1"><UUID>%s</UUID><ModelNumber>PN-1</ModelNumber></Part></PartSet><RootPart><Id>1</Id></RootPart></Product>'
            % uuid4()
        )
        plan = str(uuid4())
        w('<Characteristics><FormalStandardId>9</FormalStandardId><CharacteristicDefinitions n="%d">' % chars)
        for i in range(chars):
            w(
                '<LengthCharacteristicDefinition id="%d"><Tolerance><MaxValue>0.5</MaxValue><MinValue>-0.5</MinValue><DefinedAsLimit>false</DefinedAsLimit></Tolerance></LengthCharacteristicDefinition>'
                % (10 + i)
            )
        w('</CharacteristicDefinitions><CharacteristicNominals n="%d">' % chars)
        for i in range(chars):
            w(
                '<LengthCharacteristicNominal id="%d"><CharacteristicDefinitionId>%d</CharacteristicDefinitionId><TargetValue>%d.5</TargetValue></LengthCharacteristicNominal>'
                % (40 + i, 10 + i, i)
            )
        w('</CharacteristicNominals><CharacteristicItems n="%d">' % chars)
        for i in range(chars):
            w(
                '<LengthCharacteristicItem id="%d"><Name>L%d</Name><CharacteristicDesignator><Designator>%d</Designator><UUID>%s</UUID></CharacteristicDesignator><CharacteristicNominalId>%d</CharacteristicNominalId></LengthCharacteristicItem>'
                % (70 + i, i, i, uuid4(), 40 + i)
            )
        w(
            '</CharacteristicItems></Characteristics><Plan><Version><ThisInstanceQPId>%s</ThisInstanceQPId></Version><UnorderedPlanRoot><Steps n="1"><MeasureEvaluateAll/></Steps></UnorderedPlanRoot></Plan>'
            % plan
        )
        w('<Results><MeasurementResultsSet n="%d">\n' % (N // PER))
        from uuid import uuid5, UUID

        NS = UUID("6f0d4c7e-6f5b-5a53-9a41-0a4f6f4d8a10")
        serials = [str(uuid4()) for _ in range(N // PER)]
        nid = 1000
        rnd = random.Random(1)
        ids = {}
        for g in range(N // PER):
            nid += 1
            rid = uuid4() if os.environ.get("FOREIGN") else uuid5(NS, f"{plan}/{serials[g]}/")
            w(
                '<MeasurementResults id="%d"><InspectionTraceability><ReferencedQIFPlanInstance><ItemQPId>%s</ItemQPId></ReferencedQIFPlanInstance></InspectionTraceability><ThisResultsInstanceQPId>%s</ThisResultsInstanceQPId><MeasuredCharacteristics><CharacteristicMeasurements n="%d">\n'
                % (nid, plan, rid, PER)
            )
            for i in range(PER):
                nid += 1
                w(
                    '<LengthCharacteristicMeasurement id="%d"><Attributes n="2"><AttributeQPId name="QIFMeasurementResult.persistentUuid"><Value>%s</Value></AttributeQPId><AttributeStr name="operator" value="B-0%d"/></Attributes><Status><CharacteristicStatusEnum>PASS</CharacteristicStatusEnum></Status><CharacteristicItemId>%d</CharacteristicItemId><TimeStamp>2025-11-22T08:10:%02dZ</TimeStamp><ActualComponentId>%d</ActualComponentId><Value>%s</Value></LengthCharacteristicMeasurement>\n'
                    % (
                        nid,
                        uuid4(),
                        100 + i,
                        70 + i,
                        i,
                        10_000_000 + g,
                        repr(round(i + 0.5 + rnd.uniform(-0.4, 0.4), 4)),
                    )
                )
            w(
                '</CharacteristicMeasurements></MeasuredCharacteristics><InspectionStatus><InspectionStatusEnum>PASS</InspectionStatusEnum></InspectionStatus><ActualComponentIds n="1"><Id>%d</Id></ActualComponentIds></MeasurementResults>\n'
                % (10_000_000 + g)
            )
        w('</MeasurementResultsSet><ActualComponentSets n="1"><ActualComponentSet n="%d">' % (N // PER))
        for g in range(N // PER):
            w(
                '<ActualComponent id="%d"><Attributes n="1"><AttributeQPId name="SerializedPart.persistentUuid"><Value>%s</Value></AttributeQPId></Attributes><SerialNumber>SN-%d</SerialNumber><Status><InspectionStatusEnum>PASS</InspectionStatusEnum></Status></ActualComponent>\n'
                % (10_000_000 + g, serials[g], g)
            )
        w("</ActualComponentSet></ActualComponentSets></Results></QIFDocument>")
    print("MB", f.stat().st_size / 1e6)
    t = time.perf_counter()
    (None if os.environ.get('NOPARSE') else etree.parse(str(f)))
    print("etree.parse", time.perf_counter() - t)
    t = time.perf_counter()
    for e, el in (() if os.environ.get('NOPARSE') else etree.iterparse(str(f))):
        el.clear()
    print("iterparse", time.perf_counter() - t)
    import dotpeen_qif.importing.importer as im

    orig = im.valid

    def timed(name, fn):
        def g(*a, **k):
            t = time.perf_counter()
            r = fn(*a, **k)
            print("   ", name, round(time.perf_counter() - t, 2))
            return r

        return g

    im.valid = timed("valid", im.valid) if not os.environ.get("NOVALID") else (lambda f, s: (list(f), []))
    im.gather = timed("gather", im.gather)
    im.Staging.add = timed("stage", im.Staging.add)
    im._match = timed("match", im._match)
    im.Measuring.match = timed("mmatch", im.Measuring.match)
    im.Measuring.write = timed("mwrite", im.Measuring.write)
    import dotpeen_qif.importing.keeping as kp
    for nm in ("_documents","_mentions","_said","_results","_measured_parts","_measurements"): setattr(kp,nm,timed("  "+nm,getattr(kp,nm)))
    im.keep = timed("keep", im.keep)
    for _ in range(2):
        t = time.perf_counter()
        report = mes.load(f, create=EVERYTHING)
        print("import", time.perf_counter() - t, counts(report), report.items[:3])
        print("peak MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
