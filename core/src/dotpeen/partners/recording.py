"""A lookup and the audit entries of those who asked, in one statement: what can't be recorded is not given.

The same entries as `AuditLog` writes, one round trip earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from psycopg import sql

from dotpeen.database.arrays import (
    BINARY,
    float8,
    float_array,
    moment,
    moment_array,
    text,
    text_array,
    uuid_array,
    uuid_bytes_array,
)
from dotpeen.partners.audit import LAZY, LONGEST_TEXT, audit_key

_COLUMNS: Final = sql.SQL("""
dotpeen.audit (id, at, partner, token_id, method, route, entity, uuid, records, status, request_id, remote,
               milliseconds)""")
_SPENT: Final = sql.SQL("""
1000 * pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp())""")

# Each column of what the askers say is an array: one prepared statement, whatever their number.
_SEVERAL: Final = sql.SQL("""
unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[])""")
# For a single one that would cost a third of the statement.
_ONE: Final = sql.SQL("""
(VALUES (%s::uuid, %s::uuid, %s::timestamptz, %s::text, %s::text, %s::text, %s::text, %s::float8))""")
_ONE_EACH: Final = sql.SQL("""
WITH {lazy},
found AS MATERIALIZED (
    SELECT asked.*, record.body
      FROM {askers} AS asked (uuid, id, at, partner, token_id, request_id, remote, milliseconds)
      LEFT JOIN LATERAL ({lookup}) AS record (body) ON true),
written AS (
    INSERT INTO {columns}
    SELECT f.id, f.at, f.partner, f.token_id, 'GET', {route}, {entity},
           CASE WHEN f.body IS NOT NULL THEN f.uuid END, CASE WHEN f.body IS NULL THEN 0 ELSE 1 END,
           CASE WHEN f.body IS NULL THEN 404 ELSE 200 END, f.request_id, f.remote, f.milliseconds + {spent}
      FROM lazy, found AS f)
SELECT uuid::text, body FROM found WHERE body IS NOT NULL
""")
_BATCH: Final = sql.SQL("""
WITH {lazy},
found AS MATERIALIZED (
    SELECT count(record.body)::int AS records,
           coalesce(string_agg(record.body, ',' ORDER BY asked.place), '') AS bodies,
           array_agg(asked.uuid ORDER BY asked.place) FILTER (WHERE record.body IS NOT NULL) AS given,
           coalesce(string_agg('"' || asked.uuid::text || '"', ',' ORDER BY asked.place)
                    FILTER (WHERE record.body IS NULL), '') AS missing
      FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (uuid, place)
      LEFT JOIN LATERAL ({lookup}) AS record (body) ON true),
written AS (
    INSERT INTO {columns}
    SELECT e.id, e.at, e.partner, e.token_id, 'POST', {route}, {entity}, NULL, f.records, 200, e.request_id,
           e.remote, e.milliseconds + {spent}
      FROM lazy, found AS f,
           (VALUES (%s::uuid, %s::timestamptz, %s::text, %s::text, %s::text, %s::text, %s::float8))
           AS e (id, at, partner, token_id, request_id, remote, milliseconds)
 RETURNING id, records),
given AS (
    INSERT INTO dotpeen.audit_given (entry, uuids)
    SELECT w.id, f.given FROM written AS w, found AS f WHERE w.records > 0)
SELECT bodies, missing FROM found
""")
FORMATS: Final = (BINARY,) * 8
"""Of the parameters of all of them."""


class Access(NamedTuple):
    """What the audit trail keeps of who asks for records, before it is known whether there are any."""

    micros: int
    """Unix time in microseconds."""
    random_bits: int
    """62 of them, for the key of the entry."""
    partner: str
    token_id: str
    request_id: str
    remote: str
    milliseconds: float
    """Since the request came; what the statement takes is added."""


def recorded(lookup: str, *, route: str, entity: str, alone: bool = False) -> str:
    """Return a statement that answers with UUID and JSON of the records there are, and writes an entry for each asked.

    `lookup` selects the JSON of the record whose UUID is `asked.uuid`; no more than one. `alone`: for one asker, with
    `one_parameters`.
    """
    return _composed(_ONE_EACH, lookup, route, entity, askers=_ONE if alone else _SEVERAL)


def recorded_batch(lookup: str, *, route: str, entity: str) -> str:
    """Return a statement that answers with one row and writes one entry, which names all records that were given.

    The row: the records' JSON in the order asked, and the UUIDs that no record has as JSON, each with commas between.
    `lookup` is as in `recorded`; every UUID may be asked for once.
    """
    return _composed(_BATCH, lookup, route, entity)


def parameters(
    uuids: Sequence[bytes],
    micros: Sequence[int],
    random_bits: Sequence[int],
    partners: Sequence[str],
    token_ids: Sequence[str],
    request_ids: Sequence[str],
    remotes: Sequence[str],
    milliseconds: Sequence[float],
) -> list[bytes]:
    """Return the parameters of a `recorded` statement, in `FORMATS`; one of each for every asker, as in `Access`.

    `uuids` have 16 bytes each.
    """
    return [
        uuid_bytes_array(uuids),
        uuid_bytes_array(list(map(audit_key, micros, random_bits))),
        moment_array(micros),
        text_array(partners),
        text_array(token_ids),
        text_array([one[:LONGEST_TEXT] for one in request_ids]),
        text_array([one[:LONGEST_TEXT] for one in remotes]),
        float_array(milliseconds),
    ]


def one_parameters(uuid: bytes, access: Access) -> list[bytes]:
    """Return the parameters of a `recorded_one` statement, in `FORMATS`; `uuid` has 16 bytes."""
    return [
        uuid,
        audit_key(access.micros, access.random_bits),
        moment(access.micros),
        text(access.partner),
        text(access.token_id),
        text(access.request_id[:LONGEST_TEXT]),
        text(access.remote[:LONGEST_TEXT]),
        float8(access.milliseconds),
    ]


def batch_parameters(uuids: Sequence[str], access: Access) -> list[bytes]:
    """Return the parameters of a `recorded_batch` statement, in `FORMATS`; `uuids` in their text form."""
    return [uuid_array(uuids), *one_parameters(b"", access)[1:]]


def _composed(statement: sql.SQL, lookup: str, route: str, entity: str, *, askers: sql.SQL = _SEVERAL) -> str:
    return statement.format(
        askers=askers,
        lazy=sql.SQL(LAZY),
        columns=_COLUMNS,
        spent=_SPENT,
        lookup=sql.SQL(lookup),
        route=sql.Literal(route),
        entity=sql.Literal(entity),
    ).as_string()
