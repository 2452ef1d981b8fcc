"""Puts into the plugin's own tables what the columns of the MES don't hold, and only where that is news."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen_qif.importing.targets import Role, Target, Targets

_GOOD = sql.SQL("s.uuid IS NOT NULL AND (s.outcome IS NULL OR s.outcome NOT IN ('conflicting', 'unmatched'))")

_OURS: Final[Mapping[Role, str]] = {
    "part": "s.state = 'new'",
    "serial": "s.state = 'new'",
    "plan": "(s.state = 'new' OR NOT d.has_results)",
    "characteristic": "(s.state = 'new' OR NOT d.has_results)",
}
"""Whose words are kept: of records that this import made, or that a plan is the source of; not of what the MES had."""


def keep(connection: Connection, targets: Targets) -> None:
    """Write documents, what they mention and what they said. What is there already is left alone: no write at all."""
    _documents(connection)
    for target in targets.values():
        if target.role != "result":
            _mentions(connection, target)
        if target.role in _OURS:
            _said(connection, target)
    _results(connection, targets)
    _measured_parts(connection, targets["part"])
    _measurements(connection, targets["result"])


def _documents(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO dotpeen_qif.document AS k (qpid, file_name, digest, scope, application, created_at)"
        " SELECT DISTINCT ON (d.qpid) d.qpid, d.file_name, d.digest, d.scope, d.application, d.created_at"
        " FROM pg_temp.qif_document AS d WHERE NOT EXISTS (SELECT FROM dotpeen_qif.document AS o"
        " WHERE o.qpid = d.qpid AND o.digest = d.digest) ORDER BY d.qpid, d.file"
        " ON CONFLICT (qpid) DO UPDATE SET file_name = excluded.file_name, digest = excluded.digest,"
        " scope = excluded.scope, application = excluded.application, created_at = excluded.created_at,"
        " imported_at = pg_catalog.clock_timestamp()"
    )


def _mentions(connection: Connection, target: Target) -> None:
    connection.execute(
        # EXCEPT is hashed, whatever the planner knows of the tables.
        sql.SQL(
            "INSERT INTO dotpeen_qif.mention (uuid, document, role, entity, local_id)"
            " SELECT s.uuid, d.qpid, {role}, {entity}, pg_catalog.split_part(s.ref, ':', 2)"
            " FROM {staged} AS s JOIN pg_temp.qif_document AS d ON d.file = s.file WHERE {good}"
            " EXCEPT SELECT m.uuid, m.document, m.role, {entity}, m.local_id FROM dotpeen_qif.mention AS m"
            " WHERE m.role = {role} AND m.document IN (SELECT d.qpid FROM pg_temp.qif_document AS d)"
        ).format(
            role=sql.Literal(target.role),
            entity=sql.Literal(target.entity),
            staged=target.staged,
            good=_GOOD,
        )
    )


def _held(target: Target) -> sql.Composable:
    """What the columns hold, by their names, as JSON."""
    pairs = [
        sql.SQL("{}, {}::text").format(sql.Literal(field.column), sql.Identifier("t", field.column))
        for field in (*target.columns.values(), *target.source.attributes)
    ]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(pairs))


def _said(connection: Connection, target: Target) -> None:
    connection.execute(
        sql.SQL(
            "INSERT INTO dotpeen_qif.kept (uuid, entity, said, held)"
            " SELECT s.uuid, {role}, s.said, {held} FROM {staged} AS s"
            " JOIN pg_temp.qif_document AS d ON d.file = s.file JOIN {rows} ON {same}"
            " WHERE {good} AND s.lead = s.n AND s.said IS NOT NULL AND {ours}"
            " AND NOT EXISTS (SELECT FROM dotpeen_qif.kept AS k"
            " WHERE k.uuid = s.uuid AND k.said::text = s.said::text AND k.held = {held})"
            " ON CONFLICT (uuid) DO UPDATE SET said = excluded.said, held = excluded.held"
        ).format(
            role=sql.Literal(target.role),
            held=_held(target),
            staged=target.staged,
            rows=target.rows("t"),
            same=target.has_uuid(sql.SQL("s.uuid")),
            good=_GOOD,
            ours=sql.SQL(_OURS[target.role]),
        )
    )


def _results(connection: Connection, targets: Targets) -> None:
    """Sets of results: of which plan and part they are follows from what was measured."""
    plan, part = targets["plan"], targets["part"]
    connection.execute(
        sql.SQL(
            "INSERT INTO dotpeen_qif.results (uuid, document, position, plan, part, actual, work_order, said)"
            " SELECT DISTINCT ON (x.uuid) x.uuid, d.qpid, x.position, coalesce(m.plan, x.plan),"
            " coalesce(s.part_uuid, {part}), s.uuid, o.uuid, x.said"
            " FROM pg_temp.qif_results AS x JOIN pg_temp.qif_document AS d ON d.file = x.file"
            " LEFT JOIN pg_temp.qif_measured AS m ON m.results_n = x.n"
            " LEFT JOIN pg_temp.qif_serial AS s ON s.ref = x.actual_ref AND {good}"
            " LEFT JOIN pg_temp.qif_order AS o ON o.ref = x.order_ref AND o.outcome NOT IN ('conflicting', 'unmatched')"
            " LEFT JOIN ({plans} JOIN {parts} ON {linked}) ON {same}"
            " WHERE NOT x.own AND NOT EXISTS (SELECT FROM dotpeen_qif.results AS r WHERE r.uuid = x.uuid)"
            " AND (m.results_n IS NOT NULL OR s.uuid IS NOT NULL) ORDER BY x.uuid, x.n"
        ).format(
            part=part.uuid("q"),
            plans=plan.rows("p"),
            parts=part.rows("q"),
            linked=plan.source.linked("part", "p", "q"),
            same=plan.has_uuid(sql.SQL("coalesce(m.plan, x.plan)"), "p"),
            good=_GOOD,
        )
    )


def _measured_parts(connection: Connection, part: Target) -> None:
    """A document of results alone is about the part that was measured."""
    connection.execute(
        sql.SQL(
            "INSERT INTO dotpeen_qif.mention (uuid, document, role, entity, local_id)"
            " SELECT DISTINCT r.part, r.document, 'part', {entity}, '' FROM dotpeen_qif.results AS r"
            " JOIN pg_temp.qif_document AS d ON d.qpid = r.document WHERE r.part IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM dotpeen_qif.mention AS m WHERE m.document = r.document AND m.uuid = r.part)"
        ).format(entity=sql.Literal(part.entity))
    )


def _measurements(connection: Connection, result: Target) -> None:
    connection.execute(
        sql.SQL(
            "INSERT INTO dotpeen_qif.measurement"
            " (uuid, results, position, characteristic, actual, recorded, said, held)"
            " SELECT s.uuid, x.uuid, s.position, s.characteristic_uuid, s.serial_uuid, s.recorded, s.said,"
            " CASE WHEN s.said IS NOT NULL AND s.recorded THEN {held} END"
            " FROM pg_temp.qif_ready AS s JOIN pg_temp.qif_results AS x ON x.n = s.results_n"
            " WHERE s.outcome IN ('created', 'updated', 'unchanged', 'bare') AND NOT x.own"
            " AND NOT EXISTS (SELECT FROM dotpeen_qif.measurement AS k WHERE k.uuid = s.uuid"
            " AND k.said::text IS NOT DISTINCT FROM s.said::text AND k.recorded = s.recorded)"
            " ON CONFLICT (uuid) DO UPDATE SET said = excluded.said, held = excluded.held,"
            " recorded = excluded.recorded"
        ).format(
            held=sql.SQL("pg_catalog.jsonb_build_object({})").format(
                sql.SQL(", ").join(
                    sql.SQL("{}, {}::text").format(
                        sql.Literal(field.column), sql.Identifier("s", f"={field.column}")
                    )
                    for field in result.columns.values()
                )
            )
        )
    )
