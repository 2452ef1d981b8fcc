"""What imported documents said is written again, except where somebody has changed the MES since."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import TemplateDatabase

from .documents import PART, Doc, Item, Measured, uuid
from .mes import EVERYTHING, Mes, build

WHOLE = Doc(
    "whole",
    [Item("Length A")],
    results=[Measured(0, "10.1", uuid=uuid("first"))],
    serial_uuid=uuid("SN-1"),
)


def attributes(**texts: str) -> str:
    members = "".join(f'<AttributeStr name="{name}" value="{value}"/>' for name, value in texts.items())
    return f'<Attributes n="{len(texts)}">{members}</Attributes>'


def opened(**texts: str) -> str:
    """Attributes that others follow."""
    return attributes(**texts).removesuffix("</Attributes>")


@pytest.fixture
def mes(template_database: TemplateDatabase, tmp_path: Path) -> Mes:
    """An MES with a document whose part, characteristic, serial number and measurement have attributes."""
    text = WHOLE.text
    for old, new in (
        ('<Part id="1">', f'<Part id="1">{attributes(status="DRAFT", colour="red")}'),
        (
            '<LengthCharacteristicItem id="70">',
            f'<LengthCharacteristicItem id="70">{attributes(characteristicType="BORE", zone="A")}',
        ),
        (
            '<Attributes n="1"><AttributeQPId name="SerializedPart.persistentUuid">',
            opened(status="HELD", shelf="7") + '<AttributeQPId name="SerializedPart.persistentUuid">',
        ),
        (
            '<Attributes n="1"><AttributeQPId name="persistentUuid">',
            opened(operator="Ann") + '<AttributeQPId name="persistentUuid">',
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = tmp_path / "whole.qif"
    file.write_text(text, encoding="utf-8")
    made = Mes(template_database("qif_empty", build))
    assert made.load(file, create=EVERYTHING).clean
    return made


def exported(mes: Mes) -> str:
    return mes.export("Part", PART).decode()


def test_attributes_of_a_document_are_written_again(mes: Mes) -> None:
    text = exported(mes)

    for name, value in (
        *(("status", "DRAFT"), ("colour", "red"), ("characteristicType", "BORE"), ("zone", "A")),
        *(("status", "HELD"), ("shelf", "7"), ("operator", "Ann")),
    ):
        assert f'name="{name}" value="{value}"' in text


@pytest.mark.parametrize(
    ("change", "gone", "there"),
    [
        ("""UPDATE public."Part" SET "status" = 'OBSOLETE'""", "DRAFT", 'name="status" value="OBSOLETE"'),
        (
            """UPDATE public."QIFCharacteristic" SET "characteristicType" = 'SLOT'""",
            "BORE",
            'name="characteristicType" value="SLOT"',
        ),
        ("""UPDATE public."SerializedPart" SET "status" = 'SCRAP'""", "HELD", 'name="status" value="SCRAP"'),
        (
            """UPDATE public."QIFMeasurementResult" SET "operatorBadge" = 'Bob'""",
            "Ann",
            'name="operator" value="Bob"',
        ),
    ],
)
def test_a_column_that_was_changed_since_goes_before_the_attribute(
    mes: Mes, change: str, gone: str, there: str
) -> None:
    mes.execute(change)

    text = exported(mes)

    assert f'value="{gone}"' not in text
    assert there in text
    for untouched in ("red", "A", "7"):
        assert f'value="{untouched}"' in text


def test_a_column_that_was_emptied_since_has_no_attribute(mes: Mes) -> None:
    mes.execute("""UPDATE public."QIFMeasurementResult" SET "operatorBadge" = NULL""")

    assert 'name="operator"' not in exported(mes)


def test_a_column_that_was_filled_since_becomes_an_attribute(mes: Mes) -> None:
    mes.execute("""UPDATE public."Part" SET "materialType" = 'steel'""")

    text = exported(mes)

    assert 'name="materialType" value="steel"' in text
    assert 'name="status" value="DRAFT"' in text


def test_an_engineering_change_since_is_named(mes: Mes) -> None:
    mes.execute(
        'INSERT INTO public."ECORequest" ("id", "ecoNumber", "partId", "title", "requestedAt", "updatedAt")'
        """ SELECT 'e1', 'ECO-1', "id", 'Wider', now(), now() FROM public."Part" """
    )

    assert 'name="ECORequest ECO-1"' in exported(mes)
