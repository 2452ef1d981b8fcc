"""A grant: what somebody who brought a good token may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dotpeen.errors import ScopeError
from dotpeen.partners.rate import RateLimit
from dotpeen.partners.scopes import Scope, allows


@dataclass(frozen=True, slots=True)
class Grant:
    """Who it is, and what the token allows until when. Holds no secret."""

    partner_id: int
    name: str
    scopes: frozenset[Scope]
    token_id: str
    limit: RateLimit
    expires_at: datetime | None

    def allows(self, entity: str, verb: str) -> bool:
        """Tell whether this verb is allowed on this entity."""
        return allows(self.scopes, entity, verb)

    def require(self, entity: str, verb: str) -> None:
        """Raise `ScopeError` unless it is allowed."""
        if not allows(self.scopes, entity, verb):
            raise ScopeError(f"{entity}:{verb}")
