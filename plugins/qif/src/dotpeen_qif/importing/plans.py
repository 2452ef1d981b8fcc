"""Plans and their characteristics: matched together, because designators tell which plan is meant."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing import units
from dotpeen_qif.importing.matching import Matching
from dotpeen_qif.importing.targets import Targets
from dotpeen_qif.importing.values import both, changes, differs, said
from dotpeen_qif.kinds import stem_of
from dotpeen_qif.settings import Settings

_NUMBERS: Final = ("nominal", "upper", "lower")


class Plans:
    """Matches the plans and characteristics of the files with those of the MES."""

    def __init__(
        self, connection: Connection, targets: Targets, settings: Settings, matching: Matching
    ) -> None:
        self._connection = connection
        self._plan = targets["plan"]
        self._characteristic = targets["characteristic"]
        self._part = targets["part"]
        self._settings = settings
        self._matching = matching

    def match(self) -> None:
        """Find or make every plan and characteristic, and say what becomes of it."""
        matching = self._matching
        matching.by_uuid("characteristic")
        matching.by_uuid("plan")
        matching.fitting("plan")
        self._by_designators()
        matching.by_key("plan", [("number", "number"), ("version", "version")])
        matching.twins("plan", sql.SQL("NULL::text"))
        matching.link("plan", "part")
        matching.new("plan")
        matching.settle("plan")
        self._compare_plans()
        self._characteristics()

    def _characteristics(self) -> None:
        matching = self._matching
        matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_characteristic AS s SET plan_uuid = p.uuid,"
                " outcome = coalesce(s.outcome, CASE WHEN p.outcome IN ('conflicting', 'unmatched')"
                " THEN 'unmatched' END),"
                " message = coalesce(s.message, CASE WHEN p.outcome IN ('conflicting', 'unmatched')"
                " THEN 'its plan is left out' END)"
                " FROM pg_temp.qif_plan AS p WHERE p.n = s.plan_n"
            )
        )
        self._elsewhere()
        matching.by_key("characteristic", [("number", "number")], within="plan", certain=False)
        matching.by_key("characteristic", [("balloon", "balloon")], within="plan", certain=False)
        matching.twins("characteristic", sql.SQL("NULL::text"))
        self._kinds()
        self._scale()
        self._disagreeing_twins()
        self._number()
        matching.fitting("characteristic")
        matching.new("characteristic")
        matching.settle("characteristic")
        self._compare_characteristics()

    def _by_designators(self) -> None:
        """A plan without a QPId is the one that has the characteristics which its designators name."""
        self._matching.run(
            sql.SQL(
                "WITH vote AS (SELECT s.plan_n, pg_catalog.array_agg(DISTINCT {plan}) AS uuids"
                " FROM pg_temp.qif_characteristic AS s JOIN {characteristics} ON {same}"
                " JOIN {plans} ON {linked} WHERE s.state = 'found' GROUP BY s.plan_n)"
                " UPDATE pg_temp.qif_plan AS s SET"
                " uuid = CASE WHEN pg_catalog.cardinality(v.uuids) = 1 THEN v.uuids[1] END,"
                " state = CASE WHEN pg_catalog.cardinality(v.uuids) = 1 THEN 'found' END,"
                " outcome = CASE WHEN pg_catalog.cardinality(v.uuids) > 1 THEN 'conflicting' END,"
                " message = CASE WHEN pg_catalog.cardinality(v.uuids) > 1 THEN pg_catalog.format("
                "'its designators are those of more than one plan: %s',"
                " pg_catalog.array_to_string(v.uuids, ', ')) END"
                " FROM vote AS v WHERE v.plan_n = s.n AND s.state IS NULL AND NOT s.stated"
            ).format(**self._plans_of_designators())
        )

    def _plans_of_designators(self) -> dict[str, sql.Composable]:
        """The parts of a statement that goes from a staged characteristic to the plan of the one with its UUID."""
        return {
            "plan": self._plan.uuid("p"),
            "characteristics": self._characteristic.rows("t"),
            "same": self._characteristic.has_uuid(sql.SQL("s.uuid")),
            "plans": self._plan.rows("p"),
            "linked": self._characteristic.source.linked("plan", "t", "p"),
        }

    def _elsewhere(self) -> None:
        """A designator's UUID that a characteristic of another plan has."""
        self._matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_characteristic AS s SET outcome = 'conflicting', message = pg_catalog.format("
                "'the UUID %s is that of a characteristic of plan %s, and the file has it in plan %s',"
                " s.uuid, {plan}, s.plan_uuid)"
                " FROM {characteristics} JOIN {plans} ON {linked}"
                " WHERE s.state = 'found' AND s.outcome IS NULL AND {same} AND {plan} IS DISTINCT FROM s.plan_uuid"
            ).format(**self._plans_of_designators())
        )

    def _kinds(self) -> None:
        """A kind that the MES has another word for is no change."""
        target = self._characteristic
        if "kind" not in target.columns:
            return
        rows = sql.SQL(
            "pg_temp.qif_characteristic AS s JOIN {rows} ON {same} WHERE s.state = 'found' AND s.kind <> {kind}"
        ).format(rows=target.rows("t"), same=target.has_uuid(sql.SQL("s.uuid")), kind=target.column("kind"))
        found = self._connection.execute(
            sql.SQL("SELECT DISTINCT s.kind, s.said ->> 'kind', {} FROM {}").format(
                target.column("kind"), rows
            )
        ).fetchall()
        for word, stem, known in found:
            if (self._settings.kinds.get(known) or stem_of(known)) == stem:
                self._connection.execute(
                    sql.SQL(
                        "UPDATE pg_temp.qif_characteristic AS x SET kind = %s FROM"
                        " (SELECT s.n FROM {} AND s.kind = %s AND {} = %s) AS o WHERE o.n = x.n"
                    ).format(rows, target.column("kind")),
                    [known, word, known],
                )

    def _scale(self) -> None:
        """Say by what the numbers of the files become numbers in the unit of the MES."""
        target, words = self._characteristic, self._settings.units
        matching = self._matching
        if "unit" not in target.columns:
            for quantity, word in (("linear", "mm"), ("angular", "deg")):
                scale = units.named(word, words)
                factor = sql.Literal(1 if scale is None else scale.factor)
                matching.run(
                    sql.SQL(
                        "UPDATE pg_temp.qif_characteristic AS s SET ratio = {}, mes_factor = {} WHERE s.quantity = {}"
                    ).format(_ratio(factor), factor, sql.Literal(quantity))
                )
        else:
            # A record that is there keeps its unit; a new one gets that of the file.
            matching.run(
                sql.SQL(
                    "CREATE TEMP TABLE qif_unit ON COMMIT DROP AS SELECT s.n, {unit}::text AS word,"
                    " NULL::numeric AS factor, NULL::text AS quantity"
                    " FROM pg_temp.qif_characteristic AS s JOIN {rows} ON {same} WHERE s.state = 'found'"
                ).format(
                    unit=target.column("unit"), rows=target.rows("t"), same=target.has_uuid(sql.SQL("s.uuid"))
                )
            )
            found = self._connection.execute("SELECT DISTINCT word FROM pg_temp.qif_unit").fetchall()
            for (word,) in found:
                scale = None if word is None else units.named(word, words)
                if scale is not None:
                    self._connection.execute(
                        "UPDATE pg_temp.qif_unit SET factor = %s, quantity = %s WHERE word = %s",
                        [scale.factor, scale.quantity, word],
                    )
            matching.run(
                sql.SQL(
                    "UPDATE pg_temp.qif_characteristic AS s SET unit = coalesce(u.word, s.unit), ratio = {ratio},"
                    " mes_factor = u.factor,"
                    " outcome = CASE WHEN s.outcome IS NULL AND {wrong} THEN 'conflicting' ELSE s.outcome END,"
                    " message = CASE WHEN s.outcome IS NULL AND {wrong} THEN pg_catalog.format("
                    "'the file has it in %s, and the MES in %s', s.unit, u.word) ELSE s.message END"
                    " FROM pg_temp.qif_unit AS u WHERE u.n = s.n AND s.factor IS NOT NULL AND u.word IS NOT NULL"
                ).format(
                    ratio=_ratio(sql.SQL("u.factor")),
                    wrong=sql.SQL("(s.unit <> u.word AND (u.quantity IS NULL OR u.quantity <> s.quantity))"),
                )
            )
        matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_characteristic SET ratio = 1, mes_factor = coalesce(mes_factor, factor)"
                " WHERE ratio IS NULL"
            )
        )

    def _disagreeing_twins(self) -> None:
        """Two files that say different things of one characteristic."""
        self._matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_characteristic AS s SET outcome = 'conflicting',"
                " message = pg_catalog.format('%s:%s says something else of it', d.file_name, o.line)"
                " FROM pg_temp.qif_characteristic AS o JOIN pg_temp.qif_document AS d ON d.file = o.file"
                " WHERE o.n = s.lead AND s.n <> s.lead AND s.outcome IS NULL"
                " AND (s.nominal * s.ratio, s.upper * s.ratio, s.lower * s.ratio)"
                " IS DISTINCT FROM (o.nominal * o.ratio, o.upper * o.ratio, o.lower * o.ratio)"
            )
        )

    def _number(self) -> None:
        """Number those that come without: after those that the plan has."""
        if "number" not in self._characteristic.columns:
            return
        self._matching.run(
            sql.SQL(
                "WITH there AS (SELECT p.uuid AS plan, pg_catalog.max({number})::bigint AS most"
                " FROM (SELECT DISTINCT plan_uuid AS uuid FROM pg_temp.qif_characteristic) AS p"
                " JOIN ({plans} JOIN {rows} ON {linked}) ON {same} GROUP BY p.uuid),"
                " said AS (SELECT plan_uuid AS plan, pg_catalog.max(number) AS most"
                " FROM pg_temp.qif_characteristic GROUP BY plan_uuid),"
                " counted AS (SELECT s.n, s.plan_uuid, pg_catalog.row_number() OVER"
                " (PARTITION BY s.plan_uuid ORDER BY s.n) AS nth FROM pg_temp.qif_characteristic AS s"
                " WHERE s.state IS NULL AND s.number IS NULL)"
                " UPDATE pg_temp.qif_characteristic AS s"
                " SET number = greatest(coalesce(t.most, 0), coalesce(a.most, 0)) + c.nth"
                " FROM counted AS c LEFT JOIN there AS t ON t.plan = c.plan_uuid"
                " LEFT JOIN said AS a ON a.plan = c.plan_uuid WHERE c.n = s.n"
            ).format(
                number=self._characteristic.column("number"),
                plans=self._plan.rows("q"),
                rows=self._characteristic.rows("t"),
                linked=self._characteristic.source.linked("plan", "t", "q"),
                same=self._plan.has_uuid(sql.SQL("p.uuid"), "q"),
            )
        )

    def _compare_plans(self) -> None:
        """A plan that is there is changed by a plan, and not by results that repeat it."""
        target = self._plan
        columns = self._without_key(said(target))
        self._matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_plan AS s SET outcome = CASE"
                " WHEN NOT d.has_results AND s.part_uuid <> {part} THEN 'conflicting'"
                " WHEN NOT d.has_results AND {differs} THEN 'updated' ELSE 'unchanged' END,"
                " message = CASE WHEN NOT d.has_results AND s.part_uuid <> {part} THEN"
                " pg_catalog.format('it is a plan of part %s, and in the file of %s', {part}, s.part_uuid)"
                " WHEN NOT d.has_results AND {differs} THEN {changes} END"
                " FROM {rows} JOIN {parts} ON {linked}, pg_temp.qif_document AS d"
                " WHERE d.file = s.file AND s.state = 'found' AND s.outcome IS NULL AND {same}"
            ).format(
                part=self._part.uuid("p"),
                differs=differs(target, columns=columns),
                changes=changes(columns),
                rows=target.rows("t"),
                parts=self._part.rows("p"),
                linked=target.source.linked("part", "t", "p"),
                same=target.has_uuid(sql.SQL("s.uuid")),
            )
        )

    def _without_key(self, columns: dict[str, sql.Composable]) -> dict[str, sql.Composable]:
        """A plan's number and version are what the MES calls it; a file that doesn't know them has its QPId there."""
        own = {
            self._plan.columns[name].column for name in ("number", "version") if name in self._plan.columns
        }
        return {name: value for name, value in columns.items() if name not in own}

    def _compare_characteristics(self) -> None:
        target = self._characteristic
        columns = changeable(
            said(target), target.columns["number"].column if "number" in target.columns else ""
        )
        names = {target.columns[name].column for name in _NUMBERS if name in target.columns}
        numbers = differs(target, columns={name: value for name, value in columns.items() if name in names})
        self._matching.run(
            sql.SQL(
                "UPDATE pg_temp.qif_characteristic AS s SET outcome = CASE"
                " WHEN d.has_results AND {numbers} THEN 'conflicting'"
                " WHEN NOT d.has_results AND {differs} THEN 'updated' ELSE 'unchanged' END,"
                " message = CASE WHEN d.has_results AND {numbers} THEN"
                " 'results repeat it with another nominal or tolerance than the MES has: '"
                " || pg_catalog.concat_ws(', ', {both})"
                " WHEN NOT d.has_results AND {differs} THEN {changes} END"
                " FROM {rows}, pg_temp.qif_document AS d"
                " WHERE d.file = s.file AND s.state = 'found' AND s.outcome IS NULL AND {same}"
            ).format(
                numbers=numbers,
                both=both({name: columns[name] for name in sorted(names)}),
                differs=differs(target, columns=columns),
                changes=changes(columns),
                rows=target.rows("t"),
                same=target.has_uuid(sql.SQL("s.uuid")),
            )
        )


def changeable(columns: dict[str, sql.Composable], number: str) -> dict[str, sql.Composable]:
    """A characteristic's number is what the MES calls it, and stays."""
    return {name: value for name, value in columns.items() if name != number}


def _ratio(factor: sql.Composable) -> sql.Composable:
    # Sixty digits after the point: what is divided must still round to the same number in double precision.
    return sql.SQL(
        "CASE WHEN s.factor = {factor} THEN 1 ELSE pg_catalog.round(s.factor, 60) / {factor} END"
    ).format(factor=factor)
