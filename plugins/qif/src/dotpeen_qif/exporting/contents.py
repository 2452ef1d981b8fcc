"""What a document is about: the part, its plans and their characteristics, read into the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql
from psycopg.rows import dict_row

from dotpeen.database import Connection
from dotpeen.errors import RecordNotFoundError
from dotpeen_qif.exporting.interpretation import attributes_of, interpreted, read_said
from dotpeen_qif.installation import SCHEMA
from dotpeen_qif.mapping import AND, COMMA, Mapped, Source, name
from dotpeen_qif.model import Characteristic, Plan, Product
from dotpeen_qif.settings import Settings

Subject = Literal["part", "plan", "serial", "order"]
"""The section of the record that is exported."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    subject: Subject
    uuid: str
    every_plan: bool = False
    """Plans that a newer version replaces and that have no results, too."""


@dataclass(frozen=True)
class PlanContents:
    """A plan, and how its characteristics are referred to inside the database."""

    plan: Plan
    keys: Sequence[tuple[str, ...]]
    """Of each characteristic, what results refer to it by."""


@dataclass(frozen=True)
class Contents:
    """Everything of a document but its results."""

    product: Product
    plans: Sequence[PlanContents]
    kept: bool
    """The plugin's own tables are there."""

    @property
    def characteristics(self) -> Iterator[Characteristic]:
        """Those of all plans, in order."""
        for plan in self.plans:
            yield from plan.plan.characteristics


def read_contents(connection: Connection, mapped: Mapped, settings: Settings, wanted: Wanted) -> Contents:
    """Read them. Raises `RecordNotFoundError` where there is no such record, or it belongs to no part."""
    kept = SCHEMA.installed(connection)
    product = _product(connection, mapped, wanted, kept=kept)
    rows = _plan_rows(connection, mapped, wanted, product.uuid or "", kept=kept)
    if wanted.subject == "part" and not wanted.every_plan:
        rows = list(_current(rows))
    rows.sort(key=lambda row: (_natural(row["number"]), _natural(row["version"]), row["uuid"]))
    characteristics = _characteristics(connection, mapped, settings, [row["uuid"] for row in rows], kept=kept)
    said = read_said(connection, [row["uuid"] for row in rows] if kept else [])
    plans = []
    for row in rows:
        own = characteristics.get(row["uuid"], [])
        plan = Plan(
            uuid=row["uuid"],
            name=row["name"],
            number=row["number"],
            version=row["version"],
            characteristics=[characteristic for characteristic, _ in own],
            attributes=attributes_of(mapped["plan"], row),
        )
        plan = said.merged(plan, row, mapped["plan"], "plan")
        plans.append(PlanContents(plan, [key for _, key in own]))
    return Contents(product, plans, kept)


def _product(connection: Connection, mapped: Mapped, wanted: Wanted, *, kept: bool) -> Product:
    part = mapped["part"]
    rows = part.rows("t")
    if wanted.subject != "part":
        other = mapped[wanted.subject]
        rows += sql.SQL(" JOIN {} ON {}").format(other.rows("x"), other.linked("part", "x", "t"))
        condition = other.has_uuid("x", sql.Placeholder())
    else:
        condition = part.has_uuid("t", sql.Placeholder())
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(_selected(part, "t", native=kept), rows, condition)
    found = _fetch(connection, query, [wanted.uuid])
    if not found:
        raise RecordNotFoundError(mapped[wanted.subject].shape.entity.name, wanted.uuid)
    row = found[0]
    product = Product(
        uuid=row["uuid"],
        number=row["number"],
        name=row["name"],
        revision=row["revision"],
        description=row["description"],
        attributes={**attributes_of(part, row), **_changes(connection, mapped, row["uuid"])},
    )
    said = read_said(connection, [row["uuid"]] if kept else [])
    return said.merged(product, row, part, "part")


def _changes(connection: Connection, mapped: Mapped, part: str) -> dict[str, str]:
    """Return the UUIDs of the part's engineering changes, by the names of their attributes."""
    source = mapped.get("change")
    if source is None or not source.has_uuids or "part" not in source.links or "number" not in source.columns:
        return {}
    query = sql.SQL("SELECT {}, {}::text FROM {} JOIN {} ON {} WHERE {}").format(
        source.text("number", "x"),
        source.uuid("x"),
        source.rows("x"),
        mapped["part"].rows("t"),
        source.linked("part", "x", "t"),
        mapped["part"].has_uuid("t", sql.Placeholder()),
    )
    rows = [row for row in connection.execute(query, [part]) if None not in row]
    return {f"ECORequest {number}": uuid for number, uuid in sorted(rows)}


def _plan_rows(
    connection: Connection, mapped: Mapped, wanted: Wanted, part: str, *, kept: bool
) -> list[dict[str, Any]]:
    """Return the plans that the document may be about; `has_results` says whether anything was measured by one."""
    plan = mapped["plan"]
    conditions: list[sql.Composable] = [mapped["part"].has_uuid("t", sql.Placeholder())]
    parameters: list[str] = [part]
    if wanted.subject == "plan":
        conditions.append(plan.has_uuid("p", sql.Placeholder()))
        parameters.append(wanted.uuid)
    elif wanted.subject != "part":
        measured = _measured(mapped, wanted.subject)
        # What was measured is not told to partners by what documents said where its column is hidden.
        result = mapped.get("result")
        told = kept and not (plan.for_partners and (result is None or wanted.subject not in result.links))
        conditions.append(sql.SQL("({}{})").format(measured, _kept_results(plan, wanted.subject, kept=told)))
        parameters += [wanted.uuid] * (2 if told else 1)
    has_results = sql.SQL("({}{})").format(_measured(mapped), _kept_results(plan, kept=kept))
    query = sql.SQL("SELECT {}, {} AS has_results FROM {} JOIN {} ON {} WHERE {}").format(
        _selected(plan, "p", native=kept),
        has_results,
        plan.rows("p"),
        mapped["part"].rows("t"),
        plan.linked("part", "p", "t"),
        AND.join(conditions),
    )
    return _fetch(connection, query, parameters)


def _measured(mapped: Mapped, subject: Subject | None = None) -> sql.Composable:
    """The condition that something was measured by the plan `p`; with a subject: of the one whose UUID is given."""
    result = mapped.get("result")
    if result is None or "characteristic" not in result.links:
        return sql.SQL("false")
    rows = sql.SQL("{} JOIN {} ON {}").format(
        mapped["characteristic"].rows("c"), result.rows("m"), result.linked("characteristic", "m", "c")
    )
    condition = mapped["characteristic"].linked("plan", "c", "p")
    if subject is not None:
        if subject not in result.links:
            return sql.SQL("%s::text IS NULL")
        rows += sql.SQL(" JOIN {} ON {}").format(mapped[subject].rows("s"), result.linked(subject, "m", "s"))
        condition = sql.SQL("{} AND {}").format(condition, mapped[subject].has_uuid("s", sql.Placeholder()))
    return sql.SQL("EXISTS (SELECT FROM {} WHERE {})").format(rows, condition)


def _kept_results(plan: Source, subject: Subject | None = None, *, kept: bool) -> sql.Composable:
    if not kept:
        return sql.SQL("")
    column = {"serial": "actual", "order": "work_order"}.get(subject or "")
    about = sql.SQL(" AND r.{} = %s::uuid").format(sql.Identifier(column)) if column else sql.SQL("")
    return sql.SQL(" OR EXISTS (SELECT FROM dotpeen_qif.results AS r WHERE r.plan = {}{})").format(
        plan.uuid("p"), about
    )


def _current(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the newest version of each plan, and older ones that something was measured by."""
    rows = list(rows)
    newest: dict[Any, Any] = {}
    for row in rows:
        version = (_natural(row["version"]), row["uuid"])
        newest[row["number"]] = max(newest.get(row["number"], version), version)
    for row in rows:
        if row["has_results"] or newest[row["number"]] == (_natural(row["version"]), row["uuid"]):
            yield row


def _characteristics(
    connection: Connection, mapped: Mapped, settings: Settings, plans: Sequence[str], *, kept: bool
) -> dict[str, list[tuple[Characteristic, tuple[str, ...]]]]:
    """Return the characteristics of plans by the plans' UUIDs, in the order of their numbers."""
    source, plan = mapped["characteristic"], mapped["plan"]
    keys = _references(mapped, "c")
    query = sql.SQL("SELECT {}, {}::text AS plan, {} AS key FROM {} JOIN {} ON {} WHERE {}").format(
        _selected(source, "c", native=kept),
        plan.uuid("p"),
        sql.SQL("ARRAY[{}]::text[]").format(COMMA.join(keys)) if keys else sql.SQL("'{}'::text[]"),
        source.rows("c"),
        plan.rows("p"),
        source.linked("plan", "c", "p"),
        plan.uuid_in("p"),
    )
    rows = _fetch(connection, query, [list(plans)]) if plans else []
    rows.sort(
        key=lambda row: (_natural(row["number"]), _natural(row["balloon"]), row["uuid"] or "", row["key"])
    )
    said = read_said(connection, [row["uuid"] for row in rows] if kept else [])
    found: dict[str, list[tuple[Characteristic, tuple[str, ...]]]] = {}
    for row in rows:
        characteristic = interpreted(row, settings, attributes_of(source, row))
        characteristic = said.merged(characteristic, row, source, "characteristic")
        found.setdefault(row["plan"], []).append((characteristic, tuple(row["key"])))
    return found


def _references(mapped: Mapped, alias: str) -> list[sql.Composable]:
    """What results refer to a characteristic by, as texts."""
    result = mapped.get("result")
    link = result.links.get("characteristic") if result is not None else None
    if link is None:
        return []
    return [sql.SQL("{}::text").format(name(alias, column)) for column in link.references]


def _selected(source: Source, alias: str, *, native: bool) -> sql.Composed:
    """The UUID, each setting's column as text, the attributes; with `native` the columns as they are, too."""
    columns = [
        sql.SQL("{} AS {}").format(source.text(setting, alias), sql.Identifier(setting))
        for setting in source.settings
    ]
    if native:
        columns += [
            sql.SQL("{} AS {}").format(name(alias, field.column), name(f"={field.column}"))
            for field in source.columns.values()
        ]
        columns += [
            sql.SQL("{}::text AS {}").format(name(alias, field.column), name(f"={field.column}"))
            for field in source.attributes
        ]
    return sql.SQL("{}::text AS uuid, {}, {} AS attributes").format(
        source.uuid(alias), COMMA.join(columns), source.attribute_texts(alias)
    )


def _fetch(connection: Connection, query: sql.Composed, parameters: Sequence[object]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _natural(value: str | None) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts 2.0 before 10.0, and NULL first."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", value or "", re.ASCII)
    return tuple(
        (0, int(piece), "") if piece[0].isdigit() and piece.isascii() else (1, 0, piece) for piece in pieces
    )
