"""What the clients of the sample MES do all day, as statements over its original columns."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, scalar_row, tuple_row

from dotpeen.demo.sample import new_cuid

Statement = tuple[LiteralString, tuple[Any, ...]]

# Records at hand of each table: enough to reach every corner of a large one.
POOL: Final = 2000

_MEASUREMENTS: Final = """
SELECT r."characteristicId", r."serializedPartId", r."workOrderId",
       c."nominalValue", c."toleranceLower", c."toleranceUpper"
  FROM "QIFMeasurementResult" AS r TABLESAMPLE BERNOULLI (%s::real)
  JOIN "QIFCharacteristic" AS c ON c."id" = r."characteristicId"
 LIMIT %s
"""

_INSERT_PART: Final = """
INSERT INTO "Part" ("id", "partNumber", "description", "materialType", "updatedAt")
VALUES (%s, %s, %s, %s, %s)
"""

_INSERT_SERIAL: Final = """
INSERT INTO "SerializedPart" ("id", "serialNumber", "partId", "manufacturingDate", "updatedAt")
VALUES (%s, %s, %s, %s, %s)
"""

_INSERT_ORDER: Final = """
INSERT INTO "WorkOrder" ("id", "workOrderNumber", "partId", "quantity", "dueDate", "updatedAt")
VALUES (%s, %s, %s, %s, %s, %s)
"""

_INSERT_RESULT: Final = """
INSERT INTO "QIFMeasurementResult"
    ("id", "characteristicId", "serializedPartId", "workOrderId", "measuredValue", "deviation", "status",
     "deviceName", "measuredAt", "updatedAt")
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_UPDATE_SERIAL: Final = 'UPDATE "SerializedPart" SET "status" = %s, "updatedAt" = %s WHERE "id" = %s'

_UPDATE_ORDER: Final = """
UPDATE "WorkOrder"
   SET "quantityCompleted" = LEAST("quantity", "quantityCompleted" + 1),
       "status" = CASE WHEN "quantityCompleted" + 1 >= "quantity" THEN 'COMPLETED' ELSE 'IN_PROGRESS' END,
       "updatedAt" = %s
 WHERE "id" = %s
"""

_UPDATE_PART: Final = 'UPDATE "Part" SET "status" = %s, "updatedAt" = %s WHERE "id" = %s'

_UPDATE_LOT: Final = """
UPDATE "MaterialLot" SET "quantity" = GREATEST("quantity" - 0.5, 0), "updatedAt" = %s WHERE "id" = %s
"""

_READ_PART: Final = 'SELECT "id", "partNumber", "description", "status" FROM "Part" WHERE "id" = %s'

_READ_SERIAL: Final = """
SELECT "id", "serialNumber", "partId", "lotNumber", "status" FROM "SerializedPart" WHERE "id" = %s
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Records the clients work on, by id; measurements with the limits of their characteristic."""

    parts: list[str]
    serials: list[str]
    orders: list[str]
    lots: list[str]
    measurements: list[tuple[str, str, str | None, float, float, float]]


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of statement, and whether it writes."""

    make: Callable[[Known], Statement]
    writes: bool


def known_records(connection: psycopg.Connection[TupleRow]) -> Known:
    """Choose records from all over the tables. Raises ValueError when a table has none."""
    known = Known(
        parts=_ids(connection, "Part"),
        serials=_ids(connection, "SerializedPart"),
        orders=_ids(connection, "WorkOrder"),
        lots=_ids(connection, "MaterialLot"),
        measurements=connection.cursor(row_factory=tuple_row)
        .execute(_MEASUREMENTS, [_percent(connection, "QIFMeasurementResult"), POOL])
        .fetchall(),
    )
    if not all((known.parts, known.serials, known.orders, known.lots, known.measurements)):
        raise ValueError("the sample's tables are empty: fill them before the plant goes to work")
    return known


def _ids(connection: psycopg.Connection[TupleRow], table: str) -> list[str]:
    query = sql.SQL('SELECT "id" FROM {} TABLESAMPLE BERNOULLI (%s::real) LIMIT %s').format(
        sql.Identifier(table)
    )
    cursor = connection.cursor(row_factory=scalar_row)
    return cursor.execute(query, [_percent(connection, table), POOL]).fetchall()


def _percent(connection: psycopg.Connection[TupleRow], table: str) -> float:
    """Return the part of the table that gives a pool and a half, by the planner's own estimate."""
    rows = (
        connection.cursor(row_factory=scalar_row)
        .execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass(quote_ident(%s))", [table])
        .fetchone()
    )
    return min(100.0, 150.0 * POOL / max(rows or 0, 1))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _new_part(_: Known) -> Statement:
    identifier = new_cuid()
    number = f"FIX-{identifier[-8:].upper()}-A"
    return _INSERT_PART, (identifier, number, "Fixture plate", "6061-T6", _now())


def _new_serial(known: Known) -> Statement:
    identifier, now = new_cuid(), _now()
    number = f"SN{now:%y%m}-{identifier[-10:].upper()}"
    return _INSERT_SERIAL, (identifier, number, secrets.choice(known.parts), now, now)


def _new_order(known: Known) -> Statement:
    identifier, now = new_cuid(), _now()
    number = f"WO-{now:%Y}-{identifier[-8:].upper()}"
    quantity = 5 + secrets.randbelow(100)
    due = now + timedelta(days=30)
    return _INSERT_ORDER, (identifier, number, secrets.choice(known.parts), quantity, due, now)


def _new_result(known: Known) -> Statement:
    characteristic, serial, order, nominal, lower, upper = secrets.choice(known.measurements)
    deviation = round(lower + (upper - lower) * secrets.randbelow(1050) / 1000, 4)
    status = "PASS" if lower <= deviation <= upper else "FAIL"
    measured, now = round(nominal + deviation, 4), _now()
    return _INSERT_RESULT, (
        *(new_cuid(), characteristic, serial, order),
        *(measured, deviation, status, "CMM-0001", now, now),
    )


def _ship_serial(known: Known) -> Statement:
    status = secrets.choice(("ACTIVE", "SHIPPED", "REWORK"))
    return _UPDATE_SERIAL, (status, _now(), secrets.choice(known.serials))


def _advance_order(known: Known) -> Statement:
    return _UPDATE_ORDER, (_now(), secrets.choice(known.orders))


def _review_part(known: Known) -> Statement:
    return _UPDATE_PART, (secrets.choice(("ACTIVE", "IN_REVIEW")), _now(), secrets.choice(known.parts))


def _issue_material(known: Known) -> Statement:
    return _UPDATE_LOT, (_now(), secrets.choice(known.lots))


def _read_part(known: Known) -> Statement:
    return _READ_PART, (secrets.choice(known.parts),)


def _read_serial(known: Known) -> Statement:
    return _READ_SERIAL, (secrets.choice(known.serials),)


ACTIONS: Final[tuple[Action, ...]] = (
    *(Action(make, writes=True) for make in (_new_part, _new_serial, _new_order, _new_result)),
    *(Action(make, writes=True) for make in (_ship_serial, _advance_order, _review_part, _issue_material)),
    *(Action(make, writes=False) for make in (_read_part, _read_serial)),
)
"""One is taken at random each time: eight writes for every two reads."""

WRITES_SHARE: Final = sum(action.writes for action in ACTIONS) / len(ACTIONS)
