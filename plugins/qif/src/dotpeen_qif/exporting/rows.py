"""The SQL that results are read with: which rows, and what of them.

They are told apart by the keys of characteristics, which the caller has with their positions; results never pass
through Python as objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.exporting.contents import Contents, Wanted
from dotpeen_qif.exporting.text import ILLEGAL_SQL
from dotpeen_qif.mapping import AND, COMMA, Mapped, literal, name
from dotpeen_qif.settings import Settings

_NULL: Final = sql.SQL("NULL::text")


class Rows:
    """The results of one document: `m`, with characteristic `c`, thing measured `s` and order `o`."""

    def __init__(
        self, connection: Connection, mapped: Mapped, settings: Settings, contents: Contents, wanted: Wanted
    ) -> None:
        self._connection = connection
        self._mapped = mapped
        self._settings = settings
        self._wanted = wanted
        self._contents = contents
        self._keys = [key for plan in contents.plans for key in plan.keys]
        self._plans = [n for n, plan in enumerate(contents.plans) for _ in plan.keys]
        result = mapped.get("result")
        self.linked = bool(
            result is not None
            and "characteristic" in result.links
            and (wanted.subject not in ("serial", "order") or wanted.subject in result.links)
        )
        """The MES has results, linked to what the document needs them by."""
        self.possible = self.linked and bool(self._keys)
        """There can be results at all."""

    def _rows(self) -> sql.Composed:
        """The results `m` of the characteristics `c`, with the thing measured `s` and the order `o`."""
        result = self._mapped["result"]
        link = result.links["characteristic"]
        names = [sql.Identifier(f"k{n}") for n in range(len(link.columns))]
        arrays = [
            sql.SQL("%s::text[]::{}[]").format(sql.SQL(field.type.replace("%", "%%")))
            for field in link.columns
        ]
        keys = AND.join(
            sql.SQL("{} = c.{}").format(name("m", field.column), key)
            for field, key in zip(link.columns, names, strict=True)
        )
        rows = sql.SQL("unnest({}, %s::int[], %s::int[]) AS c({}, position, plan) JOIN {} ON {}").format(
            COMMA.join(arrays), COMMA.join(names), result.rows("m"), keys
        )
        for section, alias in (("serial", "s"), ("order", "o")):
            if section in result.links and section in self._mapped:
                rows += sql.SQL(" LEFT JOIN {} ON {}").format(
                    self._mapped[section].rows(alias), result.linked(section, "m", alias)
                )
        return rows

    def _condition(self) -> sql.Composable:
        if self._wanted.subject not in ("serial", "order"):
            return sql.SQL("true")
        alias = {"serial": "s", "order": "o"}[self._wanted.subject]
        return self._mapped[self._wanted.subject].has_uuid(alias, literal(self._wanted.uuid))

    def _parameters(self) -> list[Any]:
        return self._row_parameters()

    def _row_parameters(self) -> list[Any]:
        width = len(self._mapped["result"].links["characteristic"].columns)
        columns = [[key[n] for key in self._keys] for n in range(width)]
        return [*columns, list(range(len(self._keys))), self._plans]

    def _values(self) -> dict[str, sql.Composable]:
        """What documents say of a result, by `FIXED` and `TEXTS`."""
        return {
            "serial": self._uuid("serial"),
            "plan": sql.SQL("c.plan"),
            "order": self._uuid("order"),
            "position": sql.SQL("c.position"),
            "uuid": self._uuid("result"),
            "at": self._at(),
            "value": self._text("result", "value", "m"),
            "status": self._text("result", "status", "m"),
            "device": self._text("result", "device", "m"),
            "operator": self._text("result", "operator", "m"),
            "order_number": self._text("order", "number", "o"),
        }

    def _uuid(self, section: str) -> sql.Composable:
        if section != "result" and (
            section not in self._mapped["result"].links or section not in self._mapped
        ):
            return sql.SQL("NULL::uuid")
        return self._mapped[section].uuid({"result": "m", "serial": "s", "order": "o"}[section])

    def _text(self, section: str, column: str, alias: str) -> sql.Composable:
        if section != "result" and (
            section not in self._mapped["result"].links or section not in self._mapped
        ):
            return _NULL
        return self._mapped[section].text(column, alias)

    def _at_column(self) -> sql.Composable:
        field = self._mapped["result"].columns.get("at")
        return sql.SQL("NULL::text") if field is None else name("m", field.column)

    def _at(self) -> sql.Composable:
        """The time in UTC as `xs:dateTime` writes it; NULL for times that it can't."""
        field = self._mapped["result"].columns.get("at")
        if field is None or not field.type.startswith(("timestamp", "date")):
            return _NULL
        column: sql.Composable = name("m", field.column)
        if field.type.endswith("with time zone"):
            column = sql.SQL("({} AT TIME ZONE 'UTC')").format(column)
        return sql.SQL(
            "CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01'"
            " THEN pg_catalog.to_char({0}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') END"
        ).format(column)

    def _is(self, status: sql.Composable, meant: str) -> sql.Composable:
        """The MES' word for a status means this one of QIF's."""
        words = [word for word, status in self._settings.statuses.items() if status == meant]
        if meant not in self._settings.statuses:
            words.append(meant)
        return sql.SQL("coalesce({} = ANY({}::text[]), false)").format(status, literal(words))

    def _altered(self, *names: str) -> sql.Composable:
        values = COMMA.join(self._values()[column] for column in names)
        return sql.SQL("concat({}) ~ {}").format(values, literal(ILLEGAL_SQL))


def hash_of(values: Sequence[sql.Composable]) -> sql.Composed:
    """A digest of a row. They are combined by XOR: rows differ by their UUIDs, and their order follows from them."""
    return sql.SQL(
        "('x' || pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(ROW({})::text, 'UTF8')), 'hex'))::bit(256)"
    ).format(COMMA.join(values))
