"""How partners look on a terminal, in a pipe and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dotpeen.partners.partner import Partner, Token

_NARROWEST: Final = 80
"""A token's id is never cut off, however narrow the window: it is what `revoke --token` wants."""
_PIPED: Final = 400
"""In a file or a pipe a line is a partner, or a token."""


def print_partners(console: Console, partners: Sequence[Partner]) -> None:
    """Print a table of them."""
    table = _table("name", "status", "scopes", "rate limit", "tokens", "last used")
    for partner in partners:
        used = [token.last_used_at for token in partner.tokens if token.last_used_at]
        table.add_row(
            escape(partner.name),
            partner.status,
            escape(", ".join(partner.scopes)),
            str(partner.limit or "default"),
            str(sum(token.status == "valid" for token in partner.tokens)),
            f"{max(used):%Y-%m-%d %H:%M}" if used else "",
        )
    _print(console, table)


def print_partner(console: Console, partner: Partner) -> None:
    """Print one and its tokens."""
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("name", escape(partner.name))
    facts.add_row("status", partner.status)
    facts.add_row("scopes", escape(", ".join(partner.scopes)))
    facts.add_row("rate limit", str(partner.limit or "default"))
    facts.add_row("added", escape(written(partner.created_at, partner.created_by)))
    if partner.revoked_at:
        facts.add_row("revoked", escape(written(partner.revoked_at, partner.revoked_by)))
    _print(console, facts)
    table = _table("token", "status", "made", "expires", "last used", whole="token")
    for token in partner.tokens:
        revoked = f"revoked {written(token.revoked_at, token.revoked_by)}"
        table.add_row(
            token.id,
            escape(revoked) if token.revoked_at else token.status,
            escape(written(token.created_at, token.created_by)),
            f"{token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never",
            f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "",
        )
    console.print()
    _print(console, table)


def written(at: datetime | None, by: str | None) -> str:
    """Write when something happened, and who did it."""
    return f"{at:%Y-%m-%d %H:%M} by {by or 'unknown'}" if at else ""


def document(partner: Partner) -> dict[str, Any]:
    """A partner and its tokens as plain values, for `--json`."""
    return {
        "name": partner.name,
        "status": partner.status,
        "scopes": partner.scopes,
        "rate_limit": None if partner.limit is None else str(partner.limit),
        "created_at": partner.created_at,
        "created_by": partner.created_by,
        "revoked_at": partner.revoked_at,
        "revoked_by": partner.revoked_by,
        "tokens": [_token_document(token) for token in partner.tokens],
    }


def _token_document(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "status": token.status,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "revoked_by": token.revoked_by,
        "last_used_at": token.last_used_at,
    }


def _table(*columns: str, whole: str = "") -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == whole)
    return table


def _print(console: Console, table: Table) -> None:
    # `print(width=…)` only makes narrower.
    console.width = max(console.width, _NARROWEST) if console.is_terminal else _PIPED
    console.print(table)
