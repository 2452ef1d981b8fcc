"""A partner and its tokens, as the administrator sees them, and what a partner may be called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from dotpeen.errors import PartnerError
from dotpeen.partners.rate import RateLimit
from dotpeen.partners.tokens import NewToken

_NAME_LENGTH: Final = 100
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Token:
    """A token of a partner, without its secret."""

    id: str
    created_at: datetime
    created_by: str
    lifetime: timedelta | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None

    @property
    def status(self) -> Literal["valid", "expired", "revoked"]:
        """Whether it opens anything now."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return "expired" if expired else "valid"


@dataclass(frozen=True)
class Partner:
    """A partner and its tokens, the newest last; `limit` is None where the default of the interface holds."""

    id: int
    name: str
    scopes: tuple[str, ...]
    limit: RateLimit | None
    created_at: datetime
    created_by: str
    revoked_at: datetime | None
    revoked_by: str | None
    tokens: tuple[Token, ...] = ()

    @property
    def status(self) -> Literal["active", "no valid token", "revoked"]:
        """Whether it can come in now."""
        if self.revoked_at is not None:
            return "revoked"
        valid = any(token.status == "valid" for token in self.tokens)
        return "active" if valid else "no valid token"


@dataclass(frozen=True)
class Issued:
    """A partner, and a token just made for it: show it now, it is stored nowhere."""

    partner: Partner
    token: NewToken = field(repr=False)


def clean_name(name: str) -> str:
    """Return a partner's name in its normal form. Raises `PartnerError` when it is none."""
    cleaned = unicodedata.normalize("NFC", name.strip())
    refuse_token(cleaned)
    if not 0 < len(cleaned) <= _NAME_LENGTH or any(unicodedata.category(c) in _UNPRINTABLE for c in cleaned):
        raise PartnerError(f"a partner's name is one line of 1 to {_NAME_LENGTH} printable characters")
    return cleaned


def name_key(name: str) -> str:
    """Return what two names have in common that differ in case or in how they are composed alone."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).strip().casefold())


def refuse_token(name: str) -> None:
    """Raise `PartnerError` for what looks like a token."""
    # Pasted into the wrong place, it must not go on to a terminal's log or the journal.
    if re.match(r"dpa?_", name):
        raise PartnerError("this looks like a token, where a partner's name belongs")
