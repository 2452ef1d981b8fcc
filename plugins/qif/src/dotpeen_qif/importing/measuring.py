"""Measurements: joined to characteristics, to what was measured and to what the MES has, all at once.

The rows are read once and written once: a million of them is what this is made for.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing import units
from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.identity import Identity
from dotpeen_qif.importing.isolation import isolated
from dotpeen_qif.importing.outcomes import Outcomes
from dotpeen_qif.importing.targets import COMMA, Role, Targets
from dotpeen_qif.importing.values import fillers, paired
from dotpeen_qif.importing.writing import insert
from dotpeen_qif.kinds import KINDS, stem_of
from dotpeen_qif.settings import Settings

FORM = frozenset({"Flatness", "Straightness", "Circularity", "Cylindricity", "Sphericity", "Conicity"})
"""Geometric tolerances that know neither datums nor a bonus: whether a value passes follows from the zone."""


class Measuring:
    """Matches and writes the measurements, once everything that they refer to is there."""

    def __init__(
        self,
        connection: Connection,
        targets: Targets,
        settings: Settings,
        choices: Choices,
        identity: Identity,
    ) -> None:
        self._connection = connection
        self._targets = targets
        self._result = targets["result"]
        self._settings = settings
        self._choices = choices
        self._identity = identity
        self._outcomes = Outcomes(targets, settings, choices)

    def match(self) -> None:
        """Fill `qif_ready`: every measurement with what it refers to, its values in the MES' units, and an outcome."""
        self._items()
        self._found("serial", "qif_actual")
        if "order" in self._targets:
            self._found("order", "qif_ordered")
        self._settle()
        self._connection.execute("ANALYZE pg_temp.qif_ready (n, uuid, results_n, outcome)")
        self._twins()
        self._identity.check_measured(
            self._result,
            sql.Identifier("pg_temp", "qif_ready"),
            sql.SQL("s.outcome IN ('created', 'bare')"),
        )
        self._connection.execute(
            "CREATE TEMP TABLE qif_measured ON COMMIT DROP AS"
            " SELECT s.results_n, CASE WHEN pg_catalog.count(DISTINCT s.plan) = 1"
            " THEN pg_catalog.min(s.plan::text)::uuid END AS plan FROM pg_temp.qif_ready AS s"
            " JOIN pg_temp.qif_results AS x ON x.n = s.results_n WHERE NOT x.own"
            " AND s.outcome NOT IN ('conflicting', 'unmatched') GROUP BY s.results_n"
        )

    def _settle(self) -> None:
        """Say what becomes of each; where one has a value that no column can hold, find it, and go on without."""
        everything = sql.SQL("true")
        try:
            with self._connection.transaction():
                self._connection.execute(self._outcomes.statement(everything))
        except psycopg.DataError:
            results = sql.Identifier("pg_temp", "qif_result")
            isolated(self._connection, results, everything, self._probe)
            self._connection.execute(
                "UPDATE pg_temp.qif_result SET value = NULL, status = NULL, device = NULL, operator = NULL, at = NULL"
                " WHERE outcome IS NOT NULL"
            )
            self._connection.execute(self._outcomes.statement(everything))

    def _probe(self, rows: sql.Composable) -> None:
        with self._connection.transaction():
            self._connection.execute(self._outcomes.statement(rows))
            self._connection.execute("DROP TABLE pg_temp.qif_ready")

    def write(self) -> None:
        """Make and change the records."""
        ready = sql.Identifier("pg_temp", "qif_ready")
        columns = self._outcomes.columns
        values = {name: sql.Identifier("s", f"={name}") for name in columns}
        extra = {k: v for k, v in fillers(self._result, self._choices).items() if k not in values}
        isolated(
            self._connection,
            ready,
            sql.SQL("s.outcome = 'created' AND s.recorded"),
            lambda rows: insert(
                self._connection,
                self._result,
                {**values, **extra},
                source=sql.SQL("{} AS s WHERE {}").format(ready, rows),
                uuid=sql.SQL("s.uuid"),
            ),
        )
        touched = {name: value for name, value in extra.items() if name in self._choices.touched[1:]}
        isolated(
            self._connection,
            ready,
            sql.SQL("s.outcome = 'updated' AND s.recorded"),
            lambda rows: self._connection.execute(
                sql.SQL("UPDATE {} AS t SET {} FROM {} AS s{} WHERE {} AND {}").format(
                    self._result.table,
                    paired({**values, **touched}),
                    ready,
                    self._side(),
                    rows,
                    self._result.has_uuid(sql.SQL("s.uuid"))
                    if self._result.sidecar is None
                    else sql.SQL("side.key = {}").format(self._result.key_text("t")),
                )
            ),
        )

    def _side(self) -> sql.Composable:
        if self._result.sidecar is None:
            return sql.SQL("")
        return sql.SQL(" JOIN {} AS side ON side.entity = {} AND side.uuid = s.uuid").format(
            self._result.sidecar, sql.Literal(self._result.entity)
        )

    def _items(self) -> None:
        """What the measurements call characteristics: those of the files, and of documents imported before."""
        target, plan = self._targets["characteristic"], self._targets["plan"]
        limits = self._settings.characteristic.limits
        column = {
            name: sql.SQL("{}::text::numeric").format(target.column(name))
            if name in target.columns
            else sql.SQL("NULL::numeric")
            for name in ("nominal", "upper", "lower")
        }
        base = sql.SQL("0" if limits else "c.nominal")
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE qif_item ON COMMIT DROP AS SELECT c.ref, c.document, c.uuid, c.left_out, c.ratio,"
                " c.mes_factor, c.judged, c.nominal, {base} + c.lower AS lowest, {base} + c.upper AS highest, c.word,"
                " c.unit, c.plan, {links} FROM (SELECT i.*, {plan} AS plan,"
                " {nominal} AS nominal, {upper} AS upper, {lower} AS lower,"
                " {word} AS word, {unit} AS unit, {columns} FROM ("
                "SELECT s.ref, NULL::uuid AS document,"
                " CASE WHEN s.outcome IN ('conflicting', 'unmatched') THEN NULL ELSE s.uuid END AS uuid,"
                " s.outcome IN ('conflicting', 'unmatched') AS left_out, s.ratio, s.mes_factor, s.judged"
                " FROM pg_temp.qif_characteristic AS s"
                " UNION ALL SELECT r.item_ref, r.item_document, m.uuid, false, 1, NULL::numeric, NULL::boolean"
                " FROM (SELECT DISTINCT item_ref, item_document FROM pg_temp.qif_result"
                " WHERE item_document IS NOT NULL) AS r JOIN dotpeen_qif.mention AS m ON m.document = r.item_document"
                " AND m.local_id = r.item_ref AND m.role = 'characteristic') AS i"
                " LEFT JOIN ({rows} JOIN {plans} ON {linked}) ON {same}) AS c"
            ).format(
                plan=plan.uuid("p"),
                plans=plan.rows("p"),
                linked=target.source.linked("plan", "t", "p"),
                base=base,
                links=COMMA.join(self._link_names("characteristic", "c")),
                nominal=column["nominal"],
                upper=column["upper"],
                lower=column["lower"],
                word=target.column("kind") if "kind" in target.columns else sql.SQL("NULL::text"),
                unit=target.column("unit") if "unit" in target.columns else sql.SQL("NULL::text"),
                columns=COMMA.join(self._link_columns("characteristic", "t")),
                rows=target.rows("t"),
                same=target.has_uuid(sql.SQL("i.uuid")),
            )
        )
        words = self._connection.execute("SELECT DISTINCT word, unit FROM pg_temp.qif_item").fetchall()
        for word, unit in words:
            stem = self._settings.kinds.get(word or "") or stem_of(word or "")
            shape = KINDS[stem].shape if stem in KINDS else None
            judged = shape in ("dimension", "unit") or stem in FORM
            scale = None if unit is None else units.named(unit, self._settings.units)
            self._connection.execute(
                "UPDATE pg_temp.qif_item SET judged = coalesce(judged, %s), mes_factor = coalesce(mes_factor, %s)"
                " WHERE word IS NOT DISTINCT FROM %s AND unit IS NOT DISTINCT FROM %s",
                [judged, None if scale is None else scale.factor, word, unit],
            )
        self._connection.execute("ANALYZE pg_temp.qif_item")

    def _found(self, role: Role, table: str) -> None:
        """What the results refer to by a reference of the files, with the columns that they are linked by."""
        target = self._targets[role]
        if role not in self._result.links:
            columns: sql.Composable = sql.SQL("")
            source: sql.Composable = sql.SQL("")
        else:
            columns = sql.SQL(", {}").format(
                COMMA.join(
                    sql.SQL("{} AS {}").format(sql.Identifier("t", reference), sql.Identifier(f"{role}_{n}"))
                    for n, reference in enumerate(self._result.links[role].references)
                )
            )
            source = sql.SQL(" LEFT JOIN {} ON {}").format(
                target.rows("t"),
                target.has_uuid(
                    sql.SQL("CASE WHEN s.outcome IN ('conflicting', 'unmatched') THEN NULL ELSE s.uuid END")
                ),
            )
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT s.ref, s.label,"
                " CASE WHEN s.outcome IN ('conflicting', 'unmatched') THEN NULL ELSE s.uuid END AS uuid,"
                " s.message{} FROM {} AS s{}"
            ).format(sql.Identifier(table), columns, target.staged, source)
        )
        self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("pg_temp", table)))

    def _link_names(self, role: Role, alias: str) -> list[sql.Composable]:
        return [sql.Identifier(alias, f"{role}_{n}") for n in range(len(self._result.links[role].references))]

    def _link_columns(self, role: Role, alias: str) -> list[sql.Composable]:
        return [
            sql.SQL("{} AS {}").format(sql.Identifier(alias, reference), sql.Identifier(f"{role}_{n}"))
            for n, reference in enumerate(self._result.links[role].references)
        ]

    def _twins(self) -> None:
        """A measurement that the files have twice is one; twice and different is a conflict."""
        # They are rare, and few: a table of them tells the planner so.
        self._connection.execute(
            "CREATE TEMP TABLE qif_many ON COMMIT DROP AS SELECT s.uuid, pg_catalog.min(s.n) AS first"
            " FROM pg_temp.qif_ready AS s GROUP BY s.uuid HAVING pg_catalog.count(*) > 1"
        )
        row = self._connection.execute("SELECT EXISTS (SELECT FROM pg_temp.qif_many)").fetchone()
        if row is None or not row[0]:
            return
        self._connection.execute(
            "UPDATE pg_temp.qif_ready AS s SET"
            " outcome = CASE WHEN (s.value, s.status, s.characteristic_uuid, s.serial_uuid) IS NOT DISTINCT FROM"
            " (f.value, f.status, f.characteristic_uuid, f.serial_uuid) THEN 'twin' ELSE 'conflicting' END,"
            " message = CASE WHEN (s.value, s.status, s.characteristic_uuid, s.serial_uuid) IS NOT DISTINCT FROM"
            " (f.value, f.status, f.characteristic_uuid, f.serial_uuid) THEN NULL ELSE pg_catalog.format("
            "'the UUID %s is that of another measurement: %s:%s', s.uuid, d.file_name, f.line) END"
            " FROM pg_temp.qif_many AS o JOIN pg_temp.qif_ready AS f ON f.n = o.first"
            " JOIN pg_temp.qif_document AS d ON d.file = f.file WHERE s.uuid = o.uuid AND s.n <> o.first"
        )
