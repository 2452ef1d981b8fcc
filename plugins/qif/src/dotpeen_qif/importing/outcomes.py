"""What becomes of each measurement: one statement, made from the registry, the settings and the choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.targets import COMMA, Role, Targets, typed
from dotpeen_qif.importing.values import changes, differs, fillers, lacking_value
from dotpeen_qif.settings import Settings

_LINKS: Final[Mapping[Role, str]] = {"characteristic": "k", "serial": "a", "order": "o"}
"""What measurements refer to, and the alias of the temporary table that has it."""
_STATED: Final = "coalesce(m.stated_status, m.computed, 'UNDEFINED')"
_STATUS: Final = {
    "conflict": _STATED,
    "stated": _STATED,
    "computed": "CASE WHEN m.stated_status IS NULL OR m.stated_status IN ('PASS', 'FAIL')"
    " THEN coalesce(m.computed, m.stated_status, 'UNDEFINED') ELSE m.stated_status END",
}


class Outcomes:
    """Makes the statement that fills `qif_ready`."""

    def __init__(self, targets: Targets, settings: Settings, choices: Choices) -> None:
        self._targets = targets
        self._result = targets["result"]
        self._settings = settings
        self._choices = choices
        self.columns = self._columns()
        """Columns of the records to what they hold, over the rows `m`; in `qif_ready` they are named `=column`."""
        self._fixed = self._link_fields(("characteristic", "serial"))

    def statement(self, rows: sql.Composable) -> sql.Composed:
        """Join measurements with what they refer to and with their records in the MES, and say what becomes of them.

        `rows` is a condition on the rows `s` of `qif_result`.
        """
        result = self._result
        same = {name: sql.Identifier("s", f"={name}") for name in self.columns if name not in self._fixed}
        return sql.SQL(
            "CREATE TEMP TABLE qif_ready ON COMMIT DROP AS SELECT s.*, CASE"
            " WHEN s.problem IS NOT NULL THEN 'unmatched' WHEN {conflict} IS NOT NULL THEN 'conflicting'"
            " WHEN NOT s.recorded THEN 'bare' WHEN NOT coalesce(t.there, false) THEN 'created'"
            " WHEN {differs} THEN 'updated' ELSE 'unchanged' END AS outcome,"
            " coalesce(s.problem, {conflict}, CASE WHEN t.there AND s.recorded AND {differs} THEN {changes} END)"
            " AS message"
            " FROM (SELECT s.*, {problem} AS problem FROM ({values}) AS s) AS s"
            " LEFT JOIN (SELECT t.*, true AS there, {uuid} AS own_uuid FROM {rows}) AS t ON t.own_uuid = s.uuid"
        ).format(
            conflict=self._conflict(),
            differs=differs(result, columns=same),
            changes=changes(same),
            problem=self._problem(),
            values=self._valued(rows),
            uuid=result.uuid("t"),
            rows=result.rows("t"),
        )

    def _measured(self, rows: sql.Composable) -> sql.Composed:
        """Each measurement with what it refers to, its value in the unit of the MES."""
        joins = sql.SQL(
            "(SELECT s.* FROM pg_temp.qif_result AS s WHERE {}) AS r JOIN pg_temp.qif_results AS x ON x.n = r.results_n"
            " LEFT JOIN pg_temp.qif_item AS k ON k.ref = r.item_ref AND k.document IS NOT DISTINCT FROM r.item_document"
            " LEFT JOIN pg_temp.qif_actual AS a ON a.ref = r.actual_ref{}"
        ).format(
            rows,
            sql.SQL(
                " LEFT JOIN pg_temp.qif_ordered AS o ON o.ref = x.order_ref"
                if "order" in self._targets
                else ""
            ),
        )
        links = [
            sql.SQL(", {} AS {}").format(sql.Identifier(alias, f"{role}_{n}"), sql.Identifier(f"{role}_{n}"))
            for role, alias in _LINKS.items()
            if role in self._result.links and role in self._targets
            for n in range(len(self._result.links[role].columns))
        ]
        at = sql.SQL("coalesce(r.at, x.at, {})").format(
            sql.SQL("NULL::timestamp") if self._choices.at is None else sql.Literal(self._choices.at)
        )
        return sql.SQL(
            "SELECT r.n, r.file, r.line, r.position, r.results_n, r.given AS uuid, r.stated, r.key, r.said,"
            " r.attribute, r.message AS refused, r.status AS stated_status, r.device, r.operator, {at} AS at,"
            " k.uuid AS characteristic_uuid, k.plan, k.ref IS NULL AS no_item, k.left_out,"
            " a.uuid AS serial_uuid, a.label AS actual_label, {order} AS order_uuid, k.nominal, k.lowest, k.highest,"
            " k.judged AND k.lowest IS NOT NULL AND k.highest IS NOT NULL AS judged,"
            " CASE WHEN r.factor IS NULL THEN CASE WHEN k.ratio = 1 THEN r.value ELSE r.value * k.ratio END"
            " WHEN k.mes_factor IS NULL OR r.factor = k.mes_factor THEN r.value"
            " ELSE r.value * (pg_catalog.round(r.factor, 60) / k.mes_factor) END AS value{links} FROM {joins}"
        ).format(
            at=at,
            order=sql.SQL("o.uuid" if "order" in self._targets else "NULL::uuid"),
            links=sql.SQL("").join(links),
            joins=joins,
        )

    def _valued(self, rows: sql.Composable) -> sql.Composed:
        """With the status that counts, and every column of the record in its type."""
        judged = sql.SQL(
            "SELECT m.*, CASE WHEN m.judged AND m.value IS NOT NULL THEN"
            " CASE WHEN m.value BETWEEN m.lowest AND m.highest THEN 'PASS' ELSE 'FAIL' END END AS computed"
            " FROM ({}) AS m"
        ).format(self._measured(rows))
        settled = sql.SQL(
            "SELECT m.*, {} AS status, m.value IS NOT NULL OR m.attribute AS recorded,"
            " CASE WHEN m.value IS NULL AND m.attribute THEN 0 ELSE m.value END AS number FROM ({}) AS m"
        ).format(sql.SQL(_STATUS[self._choices.status]), judged)
        values = [
            sql.SQL("{} AS {}").format(value, sql.Identifier(f"={name}"))
            for name, value in self.columns.items()
        ]
        # OFFSET 0: what follows asks for the values again and again, and they are to be computed once.
        return sql.SQL("SELECT m.*, {} FROM ({}) AS m OFFSET 0").format(COMMA.join(values), settled)

    def _problem(self) -> sql.Composed:
        """Why a measurement has no place in the MES."""
        lacking = [
            sql.SQL(" WHEN s.recorded AND {} IS NULL THEN {}").format(
                sql.Identifier("s", f"={field.column}"),
                sql.Literal(lacking_value(self._result, field)),
            )
            for field in self._result.required()
            if field.column in self.columns and field.column not in self._fixed
        ]
        return sql.SQL(
            "CASE WHEN s.refused IS NOT NULL THEN NULL"
            " WHEN s.no_item THEN 'the file names a characteristic that none of the documents has'"
            " WHEN s.left_out THEN 'its characteristic is left out'"
            " WHEN s.characteristic_uuid IS NULL THEN 'its characteristic is not there any more'"
            " WHEN s.serial_uuid IS NULL THEN coalesce('what was measured is left out: ' || s.actual_label,"
            " 'the file does not say what was measured'){} END"
        ).format(sql.SQL("").join(lacking))

    def _conflict(self) -> sql.Composed:
        """What the MES, or the measurement itself, says against it."""
        moved = sql.SQL(" OR ").join(
            sql.SQL("{} IS DISTINCT FROM {}").format(
                sql.Identifier("t", name), sql.Identifier("s", f"={name}")
            )
            for name in sorted(self._fixed)
        )
        held = sql.SQL("true" if self._choices.status == "conflict" else "false")
        return sql.SQL(
            "CASE WHEN s.refused IS NOT NULL THEN s.refused WHEN t.there AND ({moved}) THEN pg_catalog.format("
            "'the UUID %s is that of a measurement of another characteristic or part', s.uuid)"
            " WHEN {held} AND s.computed <> s.stated_status AND s.stated_status IN ('PASS', 'FAIL')"
            " THEN pg_catalog.format('it says %s, and %s is %s %s to %s', s.stated_status,"
            " pg_catalog.trim_scale(s.value), CASE s.computed WHEN 'PASS' THEN 'within' ELSE 'outside' END,"
            " pg_catalog.trim_scale(s.lowest), pg_catalog.trim_scale(s.highest)) END"
        ).format(moved=moved, held=held)

    def _columns(self) -> dict[str, sql.Composable]:
        result = self._result
        found: dict[str, sql.Composable] = {}
        for role in _LINKS:
            if role in result.links and role in self._targets:
                for n, field in enumerate(result.links[role].columns):
                    found[field.column] = sql.Identifier("m", f"{role}_{n}")
        deviation = "m.number - m.nominal"
        if self._settings.characteristic.nominal is None:
            deviation = "NULL::numeric"
        expressions: dict[str, sql.Composable] = {
            "value": sql.SQL("m.number"),
            "deviation": sql.SQL("CASE WHEN m.attribute THEN 0 ELSE {} END").format(sql.SQL(deviation)),
            "status": self._word(),
            "device": sql.SQL("m.device"),
            "operator": sql.SQL("m.operator"),
            "at": sql.SQL("m.at"),
        }
        extra = fillers(result, self._choices)
        for name, value in expressions.items():
            column = result.columns.get(name)
            if column is None:
                continue
            whole = typed(column, value)
            if column.column in extra:
                whole = sql.SQL("coalesce({}, {})").format(whole, extra[column.column])
            found[column.column] = whole
        return found

    def _word(self) -> sql.Composable:
        """The MES' word for a status."""
        words = {status: word for word, status in reversed(list(self._settings.statuses.items()))}
        if not words:
            return sql.SQL("m.status")
        cases = [
            sql.SQL("WHEN {} THEN {}").format(sql.Literal(status), sql.Literal(word))
            for status, word in words.items()
        ]
        return sql.SQL("CASE m.status {} ELSE m.status END").format(sql.SQL(" ").join(cases))

    def _link_fields(self, roles: tuple[Role, ...]) -> set[str]:
        return {
            field.column
            for role in roles
            if role in self._result.links
            for field in self._result.links[role].columns
        }
