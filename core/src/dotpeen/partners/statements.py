"""The statements of a node's directory."""

from __future__ import annotations

from typing import Final

STATE: Final = """
SELECT generation, external_enabled, reason, changed_at, changed_by, retry_after_seconds FROM dotpeen.api_state
"""

TOKENS: Final = """
SELECT t.id, t.kind, t.hash, p.id, p.name, p.scopes, t.scopes, p.rate_requests, p.rate_seconds,
       extract(epoch FROM least(t.expires_at, parent.expires_at))::float8,
       coalesce(t.revoked_at, parent.revoked_at, p.revoked_at) IS NOT NULL
  FROM dotpeen.partner_token AS t
  JOIN dotpeen.partner AS p ON p.id = t.partner_id
  LEFT JOIN dotpeen.partner_token AS parent ON parent.id = t.parent
 WHERE t.kind = 'client' OR t.id = ANY(%(ids)s::text[])
"""

LOOK_UP: Final = """
SELECT s.generation, k.*
  FROM dotpeen.api_state AS s
  LEFT JOIN (
       SELECT t.id, t.kind, t.hash, p.id AS partner, p.name, p.scopes, t.scopes AS own_scopes, p.rate_requests,
              p.rate_seconds, extract(epoch FROM least(t.expires_at, parent.expires_at))::float8 AS expires,
              coalesce(t.revoked_at, parent.revoked_at, p.revoked_at) IS NOT NULL AS revoked
         FROM dotpeen.partner_token AS t
         JOIN dotpeen.partner AS p ON p.id = t.partner_id
         LEFT JOIN dotpeen.partner_token AS parent ON parent.id = t.parent
        WHERE t.id = ANY(%(ids)s::text[])) AS k ON true
"""

# Asked of the tables: the client may have been revoked since the last refresh.
ISSUE: Final = """
INSERT INTO dotpeen.partner_token (id, partner_id, kind, hash, parent, scopes, created_by, lifetime, expires_at)
SELECT %(id)s, t.partner_id, 'access', %(hash)s, t.id, %(scopes)s::text[], 'OAuth 2', %(lifetime)s,
       least(now.at + %(lifetime)s::interval, t.expires_at)
  FROM dotpeen.partner_token AS t
  JOIN dotpeen.partner AS p ON p.id = t.partner_id
 CROSS JOIN (SELECT pg_catalog.clock_timestamp() AS at) AS now
 WHERE t.id = %(parent)s AND t.kind = 'client' AND t.revoked_at IS NULL AND p.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > now.at)
RETURNING extract(epoch FROM expires_at)::float8,
          floor(extract(epoch FROM expires_at - pg_catalog.clock_timestamp()))::int
"""

# Another node may be noting the same tokens, and that is as good.
USED: Final = """
WITH mine AS (
    SELECT t.id, pg_catalog.to_timestamp(u.seconds) AS at
      FROM dotpeen.partner_token AS t
      JOIN unnest(%(ids)s::text[], %(times)s::float8[]) AS u (id, seconds) ON u.id = t.id
       FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE dotpeen.partner_token AS t SET last_used_at = mine.at
  FROM mine WHERE t.id = mine.id AND (t.last_used_at IS NULL OR t.last_used_at < mine.at)
"""

FORGET: Final = """
DELETE FROM dotpeen.partner_token
 WHERE kind = 'access' AND expires_at < pg_catalog.clock_timestamp() - interval '1 day'
"""
