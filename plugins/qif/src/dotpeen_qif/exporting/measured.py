"""The measured values of a document, as PostgreSQL streams them: sorted, grouped and counted there.

They are told apart by the keys of characteristics, which the caller has with their positions; results never pass
through Python as objects. A group is what one `MeasurementResults` holds: one thing measured by one plan for one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from psycopg import sql

from dotpeen_qif.exporting.rows import Rows, hash_of
from dotpeen_qif.exporting.text import ILLEGAL_SQL
from dotpeen_qif.mapping import AND, COMMA, literal, name

FIXED: Final = ("serial", "plan", "order", "position", "uuid", "at")
"""What is in the first column of a streamed result, after number, failed and passed of its group: tabs between."""
TEXTS: Final = ("value", "status", "device", "operator", "order_number")
"""What the other columns are: texts that may have tabs themselves."""
MeasurementRow: TypeAlias = tuple[str, str | None, str | None, str | None, str | None, str | None]
ActualRow: TypeAlias = tuple[Any, ...]
"""UUID, number, attributes, lot's number and rank, failed, passed; what a document said, as JSON."""
LotRow: TypeAlias = tuple[str, str | None, list[str | None]]
"""UUID, number, attributes."""
_BATCH: Final = 2000
"""Rows of a fetch: 1 MB or so."""


@dataclass(frozen=True)
class Totals:
    """How much there is, and a digest of it."""

    measurements: int = 0
    groups: int = 0
    actuals: int = 0
    lots: int = 0
    digest: str = ""
    altered: frozenset[str] = frozenset()
    """What holds characters that XML can't hold."""


class Measured(Rows):
    """Questions to the database about the results of one document."""

    def devices(self) -> list[tuple[str, str | None, str | None]]:
        """Return name, UUID and description of the devices that results name, by name."""
        if not self.possible or "device" not in self._mapped["result"].columns:
            return []
        query = sql.SQL('SELECT DISTINCT {} COLLATE "C" FROM {} WHERE {} ORDER BY 1').format(
            self._text("result", "device", "m"), self._rows(), self._condition()
        )
        names = [
            row[0] for row in self._connection.execute(query, self._row_parameters()) if row[0] is not None
        ]
        known = self._known_devices(names)
        return [(device, *known.get(device, (None, None))) for device in names]

    def _known_devices(self, names: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
        source = self._mapped.get("device")
        if source is None or "number" not in source.columns or not names:
            return {}
        query = sql.SQL("SELECT {}, {}::text, {} FROM {} WHERE {} = ANY(%s)").format(
            source.text("number", "d"),
            source.uuid("d"),
            source.text("description", "d"),
            source.rows("d"),
            source.text("number", "d"),
        )
        found: dict[str, list[tuple[str | None, str | None]]] = {}
        for number, uuid, description in self._connection.execute(query, [list(names)]):
            found.setdefault(number, []).append((uuid, description))
        return {number: records[0] for number, records in found.items() if len(records) == 1}

    def totals(self) -> Totals:
        """Count and digest the results."""
        if not self.possible:
            return Totals()
        texts = {
            "QIFMeasurementResult": ("status", "device", "operator"),
            "WorkOrder": ("order_number",),
        }
        altered = [self._altered(*names) for names in texts.values()]
        base = sql.SQL("SELECT {}, {} AS hash, {} FROM {} WHERE {}").format(
            sql.SQL("{} AS serial, c.plan AS plan, {} AS ordered").format(
                self._uuid("serial"), self._uuid("order")
            ),
            hash_of(list(self._values().values())),
            COMMA.join(sql.SQL("{} AS a{}").format(one, sql.SQL(str(n))) for n, one in enumerate(altered)),
            self._rows(),
            self._condition(),
        )
        flags = [sql.SQL("bool_or(b.a{})").format(sql.SQL(str(n))) for n in range(len(altered))]
        named = [sql.SQL("bool_or(g.a{0})").format(sql.SQL(str(n))) for n in range(len(altered))]
        query = sql.SQL(
            "SELECT count(*), coalesce(sum(g.n), 0)::bigint, bit_xor(g.hash)::text, {} FROM ("
            "SELECT count(*) AS n, bit_xor(b.hash) AS hash, {} FROM ({}) AS b"
            " GROUP BY b.serial, b.plan, b.ordered) AS g"
        ).format(
            COMMA.join(named),
            COMMA.join(sql.SQL("{} AS a{}").format(flag, sql.SQL(str(n))) for n, flag in enumerate(flags)),
            base,
        )
        groups, measurements, digest, *found = self._one(query, self._parameters())
        return self._with_actuals(groups, measurements, digest, dict(zip(texts, found, strict=True)))

    def _with_actuals(
        self, groups: int, measurements: int, digest: str, altered: Mapping[str, bool]
    ) -> Totals:
        """Count and digest what was measured, too."""
        actuals, lots, actual_digest, serial_altered, lot_altered = self._actual_totals()
        everything = {**altered, "SerializedPart": serial_altered, "MaterialLot": lot_altered}
        return Totals(
            measurements=measurements,
            groups=groups,
            actuals=actuals,
            lots=lots,
            digest=f"{digest}/{actual_digest}",
            altered=frozenset(entity for entity, is_altered in everything.items() if is_altered),
        )

    def _actual_totals(self) -> tuple[int, int, str, bool, bool]:
        if "serial" not in self._mapped["result"].links:
            return 0, 0, "", False, False
        query = sql.SQL(
            "SELECT count(*), count(DISTINCT a.lot_uuid), bit_xor({})::text,"
            " bool_or(a.number || array_to_string(a.attributes, '') ~ {}),"
            " bool_or(a.lot || array_to_string(a.lot_attributes, '') ~ {}) FROM ({}) AS a"
        ).format(hash_of([sql.SQL("a.*")]), literal(ILLEGAL_SQL), literal(ILLEGAL_SQL), self._actuals())
        return self._one(query, self._parameters())

    def measurements(self) -> Iterator[MeasurementRow]:
        """Yield the results group by group, in the order of their UUIDs and within a group of their numbers."""
        status = self._text("result", "status", "m")
        group = sql.SQL("(PARTITION BY {}, c.plan, {})").format(self._uuid("serial"), self._uuid("order"))
        fixed = [
            sql.SQL("count(*) OVER g"),
            sql.SQL("bool_or({}) OVER g").format(self._is(status, "FAIL")),
            sql.SQL("bool_and({}) OVER g").format(self._is(status, "PASS")),
            *(self._values()[name] for name in FIXED),
        ]
        query = sql.SQL(
            "SELECT concat({}), {} FROM {} WHERE {} WINDOW g AS {} ORDER BY {}, c.plan, {}, c.position, {}, {}"
        ).format(
            sql.SQL(", E'\\t', ").join(fixed),
            COMMA.join(self._values()[name] for name in TEXTS),
            self._rows(),
            self._condition(),
            group,
            self._uuid("serial"),
            self._uuid("order"),
            self._at_column(),
            self._uuid("result"),
        )
        return self._streamed(query)

    def actuals(self) -> Iterator[ActualRow]:
        """Yield what was measured, in the order of UUIDs."""
        query = sql.SQL(
            "SELECT a.uuid::text, a.number, a.attributes, a.lot,"
            " CASE WHEN a.lot_uuid IS NOT NULL THEN dense_rank() OVER (ORDER BY a.lot_uuid) END,"
            " a.failed, a.passed, a.said, a.held, a.now FROM ({}) AS a ORDER BY a.uuid"
        ).format(self._actuals())
        return self._streamed(query)

    def lots(self) -> Iterator[LotRow]:
        """Yield the lots with a UUID, in the order of these."""
        query = sql.SQL(
            "SELECT DISTINCT a.lot_uuid::text, a.lot, a.lot_attributes FROM ({}) AS a"
            " WHERE a.lot_uuid IS NOT NULL ORDER BY 1"
        ).format(self._actuals())
        return self._streamed(query)

    def _actuals(self) -> sql.Composed:
        """One row for each thing that was measured."""
        serial, lot = self._mapped["serial"], self._mapped.get("lot")
        rows = self._measured_things()
        lot_uuid, lot_attributes = sql.SQL("NULL::uuid"), sql.SQL("'{}'::text[]")
        if lot is not None and "lot" in serial.columns and "number" in lot.columns:
            # A number that several lots have means none of them.
            rows += sql.SQL(
                " LEFT JOIN LATERAL (SELECT {} AS uuid, {} AS attributes, count(*) OVER () AS n FROM {} WHERE {} = {})"
                " AS l ON l.n = 1"
            ).format(
                lot.uuid("x"),
                lot.attribute_texts("x"),
                lot.rows("x"),
                name("x", lot.columns["number"].column),
                name("s", serial.columns["lot"].column),
            )
            lot_uuid, lot_attributes = sql.SQL("l.uuid"), sql.SQL("l.attributes")
        return sql.SQL(
            "SELECT {} AS uuid, {} AS number, {} AS attributes, {} AS lot, {} AS lot_uuid,"
            " {} AS lot_attributes, g.failed, g.passed, {} FROM {}"
        ).format(
            serial.uuid("s"),
            serial.text("number", "s"),
            serial.attribute_texts("s"),
            serial.text("lot", "s"),
            lot_uuid,
            lot_attributes,
            self._kept_of_things(),
            rows,
        )

    def _measured_things(self) -> sql.Composed:
        """What was measured `s`, and whether anything of it failed and everything passed `g`."""
        serial, link = self._mapped["serial"], self._mapped["result"].links["serial"]
        status = self._text("result", "status", "m")
        columns = COMMA.join(name("m", field.column) for field in link.columns)
        grouped = sql.SQL(
            "SELECT {}, bool_or({}) AS failed, bool_and({}) AS passed FROM {} WHERE {} GROUP BY {}"
        ).format(
            columns,
            self._is(status, "FAIL"),
            self._is(status, "PASS"),
            self._rows(),
            self._condition(),
            columns,
        )
        joined = AND.join(
            sql.SQL("{} = {}").format(name("g", field.column), name("s", reference))
            for field, reference in zip(link.columns, link.references, strict=True)
        )
        return sql.SQL("({}) AS g JOIN {} ON {}").format(grouped, serial.rows("s"), joined)

    def _kept_of_things(self) -> sql.Composable:
        """What a document said of `s`, what its columns held then, and hold now."""
        return sql.SQL("NULL::text AS said, NULL::text AS held, NULL::text AS now")

    def _one(self, query: sql.Composed, parameters: Sequence[object]) -> tuple[Any, ...]:
        row = self._connection.execute(query, parameters).fetchone()
        assert row is not None  # noqa: S101 - an aggregate has one row
        return row

    def _streamed(self, query: sql.Composed) -> Iterator[Any]:
        """Yield the rows of a query by a cursor of the server's."""
        with self._connection.cursor("dotpeen_qif", binary=True) as cursor:
            # The whole is wanted, not its first rows soon.
            self._connection.execute("SET LOCAL cursor_tuple_fraction = 1")
            cursor.execute(query, self._parameters())
            while rows := cursor.fetchmany(_BATCH):
                yield from rows
