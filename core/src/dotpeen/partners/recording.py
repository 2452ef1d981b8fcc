"""A lookup and the audit entries of those who asked, in one statement: what can't be recorded is not given.

The same entries as `AuditLog` writes, one round trip earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from psycopg import sql

from dotpeen.partners.audit import LONGEST_TEXT, audit_id, plain_array, text_array

_RECORDED: Final = sql.SQL("""
WITH lazy AS MATERIALIZED (SELECT pg_catalog.set_config('synchronous_commit', 'off', true)),
found (uuid, body) AS MATERIALIZED ({lookup}),
written AS (
    INSERT INTO dotpeen.audit (id, at, partner, token_id, method, route, entity, uuid, records, status, request_id,
                               remote, milliseconds)
    SELECT e.id, timestamptz 'epoch' + e.micros * interval '1 microsecond', e.partner, e.token_id,
           'GET', {route}, {entity}, f.uuid::uuid, CASE WHEN f.uuid IS NULL THEN 0 ELSE 1 END,
           CASE WHEN f.uuid IS NULL THEN 404 ELSE 200 END, e.request_id, e.remote,
           e.milliseconds
           + 1000 * pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp())
      FROM lazy,
           unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                  %s::float8[])
           AS e (id, micros, partner, token_id, uuid, request_id, remote, milliseconds)
      LEFT JOIN found AS f ON f.uuid = e.uuid)
SELECT uuid, body FROM found
""")


class Access(NamedTuple):
    """One question of a partner for the record with a UUID (canonical text)."""

    micros: int
    """Unix time in microseconds."""
    partner: str
    token_id: str
    uuid: str
    request_id: str
    remote: str
    milliseconds: float
    """Since the request came; what the statement takes is added."""


def recorded(lookup: str, *, route: str, entity: str) -> str:
    """Return a statement that answers as `lookup` does, rows of UUID and JSON for an array of UUIDs, and records it."""
    return _RECORDED.format(
        lookup=sql.SQL(lookup),
        route=sql.Literal(route),
        entity=sql.Literal(entity),
    ).as_string()


def parameters(accesses: Sequence[Access], random_bits: Sequence[int]) -> list[bytes]:
    """Return the parameters of a `recorded` statement; `random_bits` are 62 for the key of each entry."""
    asked, micros = [one.uuid for one in accesses], [one.micros for one in accesses]
    uuids = "{" + ",".join(asked) + "}"
    return [
        text.encode()
        for text in (
            uuids,
            plain_array(
                [audit_id(at, random_bits=bits) for at, bits in zip(micros, random_bits, strict=True)]
            ),
            plain_array(micros),
            text_array([one.partner for one in accesses]),
            text_array([one.token_id for one in accesses]),
            uuids,
            text_array([one.request_id[:LONGEST_TEXT] for one in accesses]),
            text_array([one.remote[:LONGEST_TEXT] for one in accesses]),
            plain_array([f"{one.milliseconds:.3f}" for one in accesses]),
        )
    ]
