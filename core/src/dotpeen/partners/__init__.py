"""Partners: who may use the external REST interface, and what they did.

The administrator's side is `store`, `state` and `trail` (synchronous); a node of the interface has one `Directory`, one
`RateLimiter` and one `AuditLog`.
"""

from dotpeen.partners.audit import AuditEntry, AuditLog
from dotpeen.partners.directory import AccessToken, Directory
from dotpeen.partners.grant import Grant
from dotpeen.partners.limits import Decision, RateLimiter
from dotpeen.partners.rate import RateLimit
from dotpeen.partners.refusals import Refusals
from dotpeen.partners.scopes import Scope
from dotpeen.partners.state import ApiState

__all__ = [
    "AccessToken",
    "ApiState",
    "AuditEntry",
    "AuditLog",
    "Decision",
    "Directory",
    "Grant",
    "RateLimit",
    "RateLimiter",
    "Refusals",
    "Scope",
]
