"""What imported documents said reaches partners only through columns that the registry exposes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from conftest import TemplateDatabase
from dotpeen.database import Connection
from dotpeen.demo.run import registry_text
from dotpeen.errors import ConfigurationError
from dotpeen.registry import Registry, parse_registry
from dotpeen_qif import store

from .documents import PART, Doc, Item, Measured, uuid
from .mes import EVERYTHING, FILL, Mes, build

PLANNED = Doc("plan", [Item("SECRET name", nominal="25.400000000000000007"), Item("Other", designator="2")])
INSPECTED = Doc(
    "results",
    part=None,
    number=None,
    external=PLANNED,
    results=[
        Measured(0, "25.410000000000000000003", uuid=uuid("first")),
        Measured(1, None, "FAIL", uuid=uuid("second")),
    ],
    serial_uuid=uuid("SN-1"),
    order="WO-1",
)
SAID = '<AttributeStr name="operator" value="SECRET-7"/><AttributeStr name="planId" value="SECRET-key"/>'


def showing(**exposed: str) -> Registry:
    """The registry of the sample, with other columns exposed."""
    text = registry_text()
    for entity, columns in exposed.items():
        text = re.sub(
            rf"(\[entities\.{entity}\]\n(?:[^\[]|\[(?!entities))*?expose = )\[[^\]]*\]",
            rf"\1[{columns}]",
            text,
            count=1,
        )
    return parse_registry(f"{text}\n{FILL}", file="registry.toml")


class Reader(Mes):
    """An MES in the eyes of another role."""

    def __init__(self, url: str, role: str) -> None:
        super().__init__(url)
        self._role = role

    @contextmanager
    def session(self) -> Iterator[Connection]:
        with super().session() as connection:
            connection.execute(f"SET SESSION ROLE {self._role}".encode())
            yield connection


@pytest.fixture
def mes(template_database: TemplateDatabase, tmp_path: Path) -> Mes:
    """An MES with a plan and results that documents said more of than it has columns for."""
    mes = Mes(template_database("qif_empty", build))
    plan = PLANNED.write(tmp_path)
    plan.write_text(
        plan.read_text(encoding="utf-8").replace(
            '<Part id="1">',
            f'<Part id="1"><Attributes n="2">{SAID}</Attributes>'
            "<Header><Description>SECRET part</Description></Header>",
        ),
        encoding="utf-8",
    )
    results = INSPECTED.write(tmp_path)
    text = results.read_text(encoding="utf-8").replace(
        "</AttributeQPId></Attributes><Status>", f"</AttributeQPId>{SAID}</Attributes><Status>"
    )
    results.write_text(
        text.replace(
            '<Attributes n="1"><AttributeQPId name="persistentUuid">',
            '<Attributes n="3"><AttributeQPId name="persistentUuid">',
        ),
        encoding="utf-8",
    )
    report = mes.load(plan, results, create=EVERYTHING)
    assert report.items == []
    return mes


def test_what_is_exposed_is_said_as_the_document_said_it(mes: Mes) -> None:
    internal = mes.export("Part", PART).decode()
    external = mes.export("Part", PART, audience="external").decode()

    for exact in ("25.400000000000000007", "25.410000000000000000003", ">FAIL<"):
        assert exact in internal
        assert exact in external
    assert "SECRET-7" in internal
    assert "SECRET-7" not in external
    assert "SECRET-key" not in external


def test_nothing_that_is_hidden_comes_from_a_document(mes: Mes) -> None:
    few = showing(
        Part='"status"',
        SerializedPart='"partId"',
        QIFCharacteristic='"planId"',
        QIFMeasurementResult='"characteristicId"',
    )

    for entity, named in (("Part", PART), ("SerializedPart", uuid("SN-1"))):
        for kind in ("qif", "qif-results"):
            document = mes.export(entity, named, kind=kind, audience="external", site=few).decode()
            for secret in (
                "SECRET",
                "25.4",
                "<TargetValue>",
                "<Value>2",
                "MaxValue",
                "TimeStamp",
                ">FAIL<",
                ">PASS<",
            ):
                assert secret not in document, (entity, kind, secret)
            for link in ("<ActualComponent", uuid("SN-1"), "WorkOrder", "WO-1", uuid("second")):
                assert link not in document, (entity, kind, link)


def test_a_nominal_is_seen_with_its_unit_and_tolerance_or_as_the_column_has_it(mes: Mes) -> None:
    some = showing(QIFCharacteristic='"planId", "name", "characteristicType", "nominalValue"')

    document = mes.export("Part", PART, audience="external", site=some).decode()

    assert "<TargetValue>25.4</TargetValue>" in document
    assert "MaxValue" not in document


def test_measurements_without_a_record_need_value_and_status(mes: Mes) -> None:
    some = showing(QIFMeasurementResult='"characteristicId", "serializedPartId", "measuredValue"')

    document = mes.export("Part", PART, audience="external", site=some).decode()

    assert "25.410000000000000000003" in document
    assert ">FAIL<" not in document
    assert uuid("second") not in document


def test_a_role_without_rights_on_what_is_kept_is_told_which_it_needs(mes: Mes) -> None:
    role = f"reader_{uuid4().hex}"
    mes.execute(f"CREATE ROLE {role}")
    mes.execute(f"GRANT USAGE ON SCHEMA public, dotpeen TO {role}")
    mes.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public, dotpeen TO {role}")
    reader = Reader(mes.url, role)
    try:
        with reader.session() as connection:
            assert store.documents(connection, PART) == ()
            assert store.parts(connection, PLANNED.qpid) == ()
        with pytest.raises(ConfigurationError, match="may not read schema dotpeen_qif") as refused:
            reader.export("Part", PART)
        with pytest.raises(ConfigurationError, match="may not write to schema dotpeen_qif"):
            reader.load()
        for statement in (refused.value.hint or "").split(";"):
            mes.execute(statement)
        assert b"25.400000000000000007" in reader.export("Part", PART)
    finally:
        mes.execute(f"DROP OWNED BY {role}")
        mes.execute(f"DROP ROLE {role}")
