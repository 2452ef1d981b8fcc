"""Partners as the administrator sees them: add, list, show, change, rotate, revoke. Every change is in the journal.

The functions take a connection in autocommit mode; each change is one transaction, and says who made it (`by`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, Literal

import psycopg
from psycopg.types.json import Jsonb

from dotpeen.database import Connection
from dotpeen.errors import PartnerError, PartnerRevokedError
from dotpeen.partners.partner import Issued, Partner, Token, clean_name, name_key, refuse_token
from dotpeen.partners.rate import RateLimit
from dotpeen.partners.scopes import Scope, write_scopes
from dotpeen.partners.tokens import NewToken, new_token

OVERLAP: Final = timedelta(hours=24)
"""How long the old token of a partner goes on after a rotation, where nothing else was said."""
_LONGEST: Final = timedelta(days=3660)


def add(
    connection: Connection,
    name: str,
    scopes: Iterable[Scope],
    *,
    by: str,
    limit: RateLimit | None = None,
    expires_in: timedelta | None = None,
) -> Issued:
    """Add a partner with its first token.

    Raises `PartnerError` when the name is taken (whatever its case) or is none, or the expiry makes no sense.
    """
    name = clean_name(name)
    _check_time(expires_in)
    written = write_scopes(scopes)
    with connection.transaction():
        try:
            with connection.transaction():
                row = connection.execute(
                    "INSERT INTO dotpeen.partner (name, name_key, scopes, rate_requests, rate_seconds, created_by)"
                    " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                    [name, name_key(name), written, *(limit or (None, None)), by],
                ).fetchone()
        except psycopg.errors.UniqueViolation:
            taken = find(connection, name)
            what = "is a revoked partner" if taken.revoked_at else "exists"
            hint = f"dotpeen partner rotate {taken.name!r} makes a new token for it"
            if taken.revoked_at:
                hint = "the audit trail keeps its name: choose another"
            raise PartnerError(f"partner {taken.name!r} {what}", hint=hint) from None
        token = _add_token(connection, int(row[0]) if row else 0, by=by, expires_in=expires_in)
        detail = {"partner": name, "scopes": written, "rate_limit": str(limit) if limit else None}
        _record(connection, "partner add", name, by, detail | {"token": token.id})
        return Issued(find(connection, name), token)


def list_all(connection: Connection) -> list[Partner]:
    """Return every partner, revoked ones too, by name."""
    return _read(connection, None) if _installed(connection) else []


def find(connection: Connection, name: str) -> Partner:
    """Return a partner by its name in any case. Raises `PartnerError`, which names close ones."""
    refuse_token(name)
    found = _read(connection, name_key(name)) if _installed(connection) else []
    if found:
        return found[0]
    known = {name_key(partner.name): partner.name for partner in list_all(connection)}
    close = difflib.get_close_matches(name_key(name), known, n=3, cutoff=0.6)
    meant = " or ".join(repr(known[key]) for key in close)
    raise PartnerError(
        f"no partner {name!r}",
        hint=f"did you mean {meant}?" if close else "dotpeen partner list shows them all",
    )


def change(
    connection: Connection,
    name: str,
    *,
    by: str,
    scopes: Iterable[Scope] | None = None,
    limit: RateLimit | Literal["default"] | None = None,
) -> Partner:
    """Give a partner other scopes, or another rate limit; what is None stays. Its tokens stay valid.

    Raises `PartnerError` and `PartnerRevokedError`.
    """
    with connection.transaction():
        partner = _lock(connection, name)
        written = list(partner.scopes) if scopes is None else write_scopes(scopes)
        rate = partner.limit if limit is None else None if limit == "default" else limit
        connection.execute(
            "UPDATE dotpeen.partner SET scopes = %s, rate_requests = %s, rate_seconds = %s WHERE id = %s",
            [written, *(rate or (None, None)), partner.id],
        )
        detail = {
            "partner": partner.name,
            "scopes": written,
            "rate_limit": str(rate) if rate else None,
            "before": {
                "scopes": list(partner.scopes),
                "rate_limit": str(partner.limit) if partner.limit else None,
            },
        }
        _record(connection, "partner change", partner.name, by, detail)
        return find(connection, name)


def rotate(
    connection: Connection,
    name: str,
    *,
    by: str,
    overlap: timedelta = OVERLAP,
    expires_in: timedelta | Literal["never"] | None = None,
) -> Issued:
    """Make a new token for a partner; the old ones end after `overlap`, or earlier where they would anyway.

    Without `expires_in` the new token is made for as long as the newest was. Raises `PartnerError` and
    `PartnerRevokedError`.
    """
    if expires_in != "never":
        _check_time(expires_in)
    if not timedelta(0) <= overlap <= _LONGEST:
        raise PartnerError("an overlap is between nothing and ten years")
    with connection.transaction():
        partner = _lock(connection, name)
        newest = partner.tokens[-1] if partner.tokens else None
        if expires_in is None:
            expires_in = newest.lifetime if newest else None
        elif expires_in == "never":
            expires_in = None
        ending = connection.execute(
            "UPDATE dotpeen.partner_token SET expires_at = pg_catalog.clock_timestamp() + %s"
            " WHERE partner_id = %s AND kind = 'client' AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > pg_catalog.clock_timestamp() + %s) RETURNING id",
            [overlap, partner.id, overlap],
        ).fetchall()
        token = _add_token(connection, partner.id, by=by, expires_in=expires_in)
        detail = {
            "partner": partner.name,
            "token": token.id,
            "ending": [row[0] for row in ending],
            "overlap_seconds": overlap.total_seconds(),
        }
        _record(connection, "partner rotate", partner.name, by, detail)
        return Issued(find(connection, name), token)


def revoke(connection: Connection, name: str, *, by: str, token: str | None = None) -> Partner:
    """Refuse a partner, or one of its tokens, from now on; its rows stay for the audit trail.

    What is revoked already stays as it is. Raises `PartnerError` for an unknown name or token.
    """
    with connection.transaction():
        partner = _lock(connection, name, revoked=True)
        if token is not None and token not in {known.id for known in partner.tokens}:
            # Never repeated in full: somebody may have pasted the whole token.
            ids = ", ".join(known.id for known in partner.tokens)
            raise PartnerError(
                f"{partner.name!r} has no token with this id", hint=f"the ids of its tokens: {ids or 'none'}"
            )
        if token is None:
            done = connection.execute(
                "UPDATE dotpeen.partner SET revoked_at = pg_catalog.clock_timestamp(), revoked_by = %s"
                " WHERE id = %s AND revoked_at IS NULL",
                [by, partner.id],
            )
        else:
            done = connection.execute(
                "UPDATE dotpeen.partner_token SET revoked_at = pg_catalog.clock_timestamp(), revoked_by = %s"
                " WHERE id = %s AND revoked_at IS NULL",
                [by, token],
            )
        if done.rowcount:
            _record(connection, "partner revoke", partner.name, by, {"partner": partner.name, "token": token})
        return find(connection, name)


def _check_time(lifetime: timedelta | None) -> None:
    if lifetime is not None and not timedelta(0) < lifetime <= _LONGEST:
        raise PartnerError("a token is made for longer than nothing and at most ten years")


def _installed(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_catalog.to_regclass('dotpeen.partner') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _lock(connection: Connection, name: str, *, revoked: bool = False) -> Partner:
    partner = find(connection, name)
    connection.execute("SELECT FROM dotpeen.partner WHERE id = %s FOR UPDATE", [partner.id])
    partner = find(connection, name)
    if partner.revoked_at is not None and not revoked:
        raise PartnerRevokedError(
            f"partner {partner.name!r} was revoked on {partner.revoked_at:%Y-%m-%d}",
            hint="add it again under another name; the audit trail keeps this one",
        )
    return partner


def _add_token(connection: Connection, partner: int, *, by: str, expires_in: timedelta | None) -> NewToken:
    token = new_token("client")
    connection.execute(
        "INSERT INTO dotpeen.partner_token (id, partner_id, kind, hash, created_by, lifetime, expires_at)"
        " VALUES (%s, %s, 'client', %s, %s, %s, pg_catalog.clock_timestamp() + %s)",
        [token.id, partner, token.hash, by, expires_in, expires_in],
    )
    return token


def _record(connection: Connection, action: str, name: str, by: str, detail: dict[str, Any]) -> None:
    known = {key: value for key, value in detail.items() if value is not None}
    connection.execute(
        "INSERT INTO dotpeen.journal (actor, action, outcome, detail) VALUES (%s, %s, 'done', %s)",
        [by, f"{action} {name}", Jsonb(known)],
    )


def _read(connection: Connection, key: str | None) -> list[Partner]:
    tokens: dict[int, list[Token]] = {}
    rows = connection.execute(
        # A partner is revoked with all its tokens.
        "SELECT t.partner_id, t.id, t.created_at, t.created_by, t.lifetime, t.expires_at,"
        " coalesce(t.revoked_at, p.revoked_at), coalesce(t.revoked_by, p.revoked_by), t.last_used_at"
        " FROM dotpeen.partner_token AS t JOIN dotpeen.partner AS p ON p.id = t.partner_id"
        " WHERE t.kind = 'client' AND (%(key)s::text IS NULL OR p.name_key = %(key)s) ORDER BY t.created_at",
        {"key": key},
    )
    for partner, *row in rows:
        tokens.setdefault(partner, []).append(Token(*row))
    rows = connection.execute(
        "SELECT id, name, scopes, rate_requests, rate_seconds, created_at, created_by, revoked_at, revoked_by"
        " FROM dotpeen.partner WHERE %(key)s::text IS NULL OR name_key = %(key)s ORDER BY name_key",
        {"key": key},
    )
    return [
        Partner(
            id=number,
            name=name,
            scopes=tuple(scopes),
            limit=None if requests is None else RateLimit(requests, seconds),
            created_at=created_at,
            created_by=created_by,
            revoked_at=revoked_at,
            revoked_by=revoked_by,
            tokens=tuple(tokens.get(number, ())),
        )
        for number, name, scopes, requests, seconds, created_at, created_by, revoked_at, revoked_by in rows
    ]
