"""SQLModel classes of the registered entities, for queries that `Records` has no question for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import create_engine, func
from sqlalchemy.pool import NullPool
from sqlmodel import Session, select

from dotpeen.records.models import models

from .site import Site

MakeSite = Callable[[str, str], Site]


def engine(site: Site) -> Any:
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(site.url), poolclass=NullPool
    )


def test_a_query_over_two_entities(mes: Site) -> None:
    found = models(mes.shapes())
    assert list(found) == list(mes.registry.entities)
    part, order = found["Part"], found["WorkOrder"]
    with Session(engine(mes)) as session:
        quantity: Any = func.sum(order.quantity)
        rows = session.exec(
            select(part.partNumber, quantity).join(order).group_by(part.partNumber).order_by(part.partNumber)
        ).all()
        (expected,) = mes.execute(
            'SELECT p."partNumber", sum(quantity) FROM "Part" p JOIN "WorkOrder" w ON w."partId" = p.id'
            " GROUP BY 1 ORDER BY 1 LIMIT 1"
        )
        assert tuple(rows[0]) == expected
        one = session.exec(select(part).limit(1)).one()
        assert mes.records.find("Part", one.id).uuid == one.persistentUuid
        session.get_bind().dispose()  # type: ignore[union-attr]


def test_rows_are_written_with_their_types(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE SCHEMA s; CREATE TYPE s.\"Color\" AS ENUM ('red', 'green');"
        ' CREATE TABLE s.odd (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "class" text,'
        ' "2nd" varchar(5), metadata char(3), "a b" smallint,'
        ' "a-b" real, n numeric,'
        ' f float8, b boolean, at timestamptz, local timestamp, d date, j jsonb, j2 json, x bytea, color s."Color",'
        ' colors s."Color"[], iv interval, "_u" text)',
        "[entities.Odd]\ntable = 's.odd'\nuuid = { column = 'uuid' }",
    )
    odd = models(site.shapes())["Odd"]
    assert list(odd.model_fields) == [
        "id", "class_", "c_2nd", "metadata_", "a_b", "a_b_", "n", "f", "b", "at", "local", "d", "j", "j2", "x", "color",
        "colors", "iv", "u", "uuid",
    ]  # fmt: skip
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    made: Any = odd(
        class_="a", c_2nd="b", metadata_="c", a_b=1, n=Decimal("1.50"), f=0.5, b=True, at=at,
        local=datetime(2026, 1, 31),
        d=date(2026, 1, 31), j={"a": [1]}, j2=[1], x=b"\x00", color="red", colors=["red", "green"],
    )  # fmt: skip
    with Session(engine(site)) as session:
        session.add(made)
        session.commit()
        session.refresh(made)
        key, uuid = made.id, made.uuid
        session.get_bind().dispose()  # type: ignore[union-attr]
    record = site.records.find("Odd", str(key))
    assert record.uuid == uuid
    names = ("class", "2nd", "metadata", "a b", "n", "at", "j", "color", "colors")
    assert {name: record.values[name] for name in names} == {
        "class": "a", "2nd": "b", "metadata": "c", "a b": 1, "n": Decimal("1.50"), "at": at, "j": {"a": [1]},
        "color": "red", "colors": ["red", "green"],
    }  # fmt: skip
