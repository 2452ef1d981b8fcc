"""Results with what imported documents said of them: sets as their authors made them, and what no column holds.

Sets of the plugin's own tables keep their UUID, status and order; measurements that are in none are grouped as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.exporting.contents import Contents, Wanted
from dotpeen_qif.exporting.kept_results import COLUMNS, KeptResultsWriter, KeptRow
from dotpeen_qif.exporting.measured import Measured, Totals
from dotpeen_qif.exporting.results import ResultsWriter
from dotpeen_qif.exporting.rows import hash_of
from dotpeen_qif.mapping import COMMA, Mapped, literal, name
from dotpeen_qif.settings import Settings

_UUIDS: Final = frozenset({"set", "group_serial", "group_order", "serial", "uuid"})


class PlainMeasured(Measured):
    """Results that are the MES' own."""

    writer = ResultsWriter


def measured_of(
    connection: Connection, mapped: Mapped, settings: Settings, contents: Contents, wanted: Wanted
) -> PlainMeasured | KeptMeasured:
    """Return the results, with the plugin's own tables where these have anything of them."""
    if contents.kept and mapped.get("result") is not None and "serial" in mapped:
        plans = [plan.plan.uuid for plan in contents.plans]
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM dotpeen_qif.results WHERE part = %s::uuid OR plan = ANY(%s::uuid[]))",
            [contents.product.uuid, plans],
        ).fetchone()
        if row is not None and row[0]:
            return KeptMeasured(connection, mapped, settings, contents, wanted)
    return PlainMeasured(connection, mapped, settings, contents, wanted)


class KeptMeasured(Measured):
    """Results of which some came with documents."""

    def __init__(
        self, connection: Connection, mapped: Mapped, settings: Settings, contents: Contents, wanted: Wanted
    ) -> None:
        super().__init__(connection, mapped, settings, contents, wanted)
        # A set of results may say of a whole part that it passed, without a plan or a measurement.
        self.possible = self.linked

    @property
    def writer(self) -> type[KeptResultsWriter]:
        """What writes them."""
        return KeptResultsWriter

    def totals(self) -> Totals:
        """Count and digest the results."""
        if not self.possible:
            return Totals()
        query = sql.SQL(
            "SELECT count(*), coalesce(sum(g.n), 0)::bigint, bit_xor(g.hash)::text FROM ("
            "SELECT count(x.position) AS n, bit_xor({}) AS hash FROM ({}) AS x"
            " GROUP BY x.set, x.group_serial, x.plan, x.group_order) AS g"
        ).format(hash_of([sql.SQL("x.*")]), self._everything())
        groups, measurements, digest = self._one(query, self._parameters())
        return self._with_actuals(groups, measurements, digest, {})

    def measurements(self) -> Iterator[KeptRow]:
        """Yield number, failed and passed of the group, order's number, rank of the thing measured, `COLUMNS`."""
        order = self._mapped.get("order")
        number: sql.Composable = sql.SQL("NULL::text")
        if order is not None and order.has_uuids and "order" in self._mapped["result"].links:
            number = sql.SQL("(SELECT {} FROM {} WHERE {} = x.group_order)").format(
                order.text("number", "q"), order.rows("q"), order.uuid("q")
            )
        query = sql.SQL(
            "SELECT count(x.position) OVER g, bool_or(x.failed) OVER g, bool_and(x.passed) OVER g, {},"
            " CASE WHEN x.serial IS NOT NULL THEN dense_rank() OVER (ORDER BY x.serial) END, {} FROM ({}) AS x"
            " WINDOW g AS (PARTITION BY x.set, x.group_serial, x.plan, x.group_order)"
            " ORDER BY x.group_serial, x.plan, x.group_order, x.set, x.place, x.at, x.uuid"
        ).format(
            number,
            COMMA.join(
                sql.SQL("x.{}{}").format(sql.Identifier(c), sql.SQL("::text" if c in _UUIDS else ""))
                for c in COLUMNS
            ),
            self._everything(),
        )
        return self._streamed(query)

    def _parameters(self) -> list[Any]:
        if not self._judged:
            return self._row_parameters()
        uuids = [characteristic.uuid for characteristic in self._contents.characteristics]
        plans = [plan.plan.uuid for plan in self._contents.plans]
        return [*self._row_parameters(), uuids, list(range(len(uuids))), self._contents.product.uuid, plans]

    def _everything(self) -> sql.Composed:
        """The MES' results, those that only a document speaks of, and sets without any."""
        values = self._values()
        status = self._text("result", "status", "m")
        result, serial = self._mapped["result"], self._mapped["serial"]
        now = COMMA.join(
            sql.SQL("{}, {}::text").format(literal(field.column), name("m", field.column))
            for field in result.columns.values()
        )
        plans = sql.SQL("{}::uuid[]").format(literal([plan.plan.uuid for plan in self._contents.plans]))
        actual, ordered = self._told("serial", "r.actual"), self._told("order", "r.work_order")
        kept = sql.SQL(
            "SELECT k.results AS set, r.said::text AS set_said,"
            " CASE WHEN k.results IS NULL THEN {serial} ELSE {actual} END AS group_serial,"
            " CASE WHEN k.results IS NULL THEN c.plan ELSE array_position({plans}, r.plan) - 1 END AS plan,"
            " CASE WHEN k.results IS NULL THEN {order} ELSE {ordered} END AS group_order, {serial} AS serial,"
            " c.position, coalesce(k.position, c.position) AS place, {uuid} AS uuid, {at} AS at, {texts},"
            " k.said::text AS said, k.held::text AS held,"
            " CASE WHEN k.said IS NOT NULL THEN pg_catalog.jsonb_build_object({now})::text END AS now,"
            " {failed} AS failed, {passed} AS passed FROM {rows}"
            " LEFT JOIN dotpeen_qif.measurement AS k ON k.uuid = {uuid}"
            " LEFT JOIN dotpeen_qif.results AS r ON r.uuid = k.results WHERE {condition}"
        ).format(
            serial=self._uuid("serial"),
            plans=plans,
            order=self._uuid("order"),
            actual=actual,
            ordered=ordered,
            uuid=self._uuid("result"),
            at=values["at"],
            texts=COMMA.join(
                sql.SQL("{} AS {}").format(values[one], sql.Identifier(one))
                for one in ("value", "status", "device", "operator")
            ),
            now=now,
            failed=self._is(status, "FAIL"),
            passed=self._is(status, "PASS"),
            rows=self._rows(),
            condition=self._condition(),
        )
        if not self._judged:
            return kept
        told = sql.SQL(
            " UNION ALL SELECT k.results, r.said::text, {actual}, array_position({plans}, r.plan) - 1, {ordered},"
            " {serial}, c.position, k.position, k.uuid, NULL, NULL, NULL, NULL, NULL, k.said::text, NULL, NULL,"
            " k.said ->> 'status' = 'FAIL', k.said ->> 'status' = 'PASS'"
            " FROM unnest(%s::uuid[], %s::int[]) AS c(uuid, position)"
            " JOIN dotpeen_qif.measurement AS k ON k.characteristic = c.uuid AND NOT k.recorded"
            " JOIN dotpeen_qif.results AS r ON r.uuid = k.results LEFT JOIN {things} ON {thing} = k.actual"
            " WHERE {kept_scope}"
            " UNION ALL SELECT r.uuid, r.said::text, {actual}, array_position({plans}, r.plan) - 1, {ordered},"
            " {serial}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
            " r.said ->> 'status' = 'FAIL', r.said ->> 'status' = 'PASS'"
            " FROM dotpeen_qif.results AS r LEFT JOIN {things} ON {thing} = r.actual"
            " WHERE (r.part = %s::uuid OR r.plan = ANY(%s::uuid[])) AND {set_scope}"
            " AND NOT EXISTS (SELECT FROM dotpeen_qif.measurement AS k WHERE k.results = r.uuid)"
        ).format(
            plans=plans,
            actual=actual,
            ordered=ordered,
            serial=self._told("serial", serial.uuid("s")),
            thing=serial.uuid("s"),
            things=serial.rows("s"),
            kept_scope=self._scope("k"),
            set_scope=self._scope("r"),
        )
        return kept + told

    @property
    def _judged(self) -> bool:
        """Readers may see values and verdicts: only then what the MES has no record of is theirs to see."""
        result = self._mapped["result"]
        return not result.for_partners or {"value", "status"} <= set(result.columns)

    def _told(self, section: str, value: str | sql.Composable) -> sql.Composable:
        """What a document said of a link, NULL where partners may not see the column that it stands for."""
        result = self._mapped["result"]
        if result.for_partners and (section not in result.links or section not in self._mapped):
            return sql.SQL("NULL::uuid")
        return sql.SQL(value) if isinstance(value, str) else value

    def _scope(self, alias: str) -> sql.Composable:
        uuid = literal(self._wanted.uuid)
        if self._wanted.subject == "serial":
            return sql.SQL("{}.actual = {}::uuid").format(sql.Identifier(alias), uuid)
        if self._wanted.subject == "order":
            return sql.SQL("r.work_order = {}::uuid").format(uuid)
        return sql.SQL("true")

    def _measured_things(self) -> sql.Composed:
        serial = self._mapped["serial"]
        return sql.SQL(
            "(SELECT x.serial, bool_or(x.failed) AS failed, bool_and(x.passed) AS passed FROM ({}) AS x"
            " WHERE x.serial IS NOT NULL GROUP BY x.serial) AS g JOIN {} ON {} = g.serial"
            " LEFT JOIN dotpeen_qif.kept AS ks ON ks.uuid = g.serial"
        ).format(self._everything(), serial.rows("s"), serial.uuid("s"))

    def _kept_of_things(self) -> sql.Composable:
        serial = self._mapped["serial"]
        now = COMMA.join(
            sql.SQL("{}, {}::text").format(literal(field.column), name("s", field.column))
            for field in (*serial.columns.values(), *serial.attributes)
        )
        return sql.SQL(
            "ks.said::text AS said, ks.held::text AS held, pg_catalog.jsonb_build_object({})::text AS now"
        ).format(now)
