"""Who may pass: partners on the external routes, the site's own applications on the others."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from dotpeen.api.call import Header
from dotpeen.api.problems import Problem
from dotpeen.errors import AuthenticationError
from dotpeen.partners import Decision, Directory, Grant, RateLimiter

_CHALLENGE: Final = 'Bearer realm="dotpeen"'
_REASONS: Final = {
    "missing": "send a token as `Authorization: Bearer …`",
    "malformed": "the Authorization header holds no bearer token of this interface",
    "unknown": "the token is not known",
    "expired": "the token has expired",
    "revoked": "the token was revoked",
}


class Gate:
    """Decides for every request, from memory."""

    def __init__(self, directory: Directory, limiter: RateLimiter, *, internal_token: str | None) -> None:
        self._directory = directory
        self._limiter = limiter
        self._internal = hashlib.sha256(internal_token.encode()).digest() if internal_token else None

    async def partner(self, headers: Mapping[bytes, bytes]) -> Grant:
        """Tell which partner asks. Raises `Problem`: 503 and 401."""
        state = self._directory.state
        if not state.enabled:
            raise Problem(
                "external-disabled",
                state.reason or "the site has switched external access off for now",
                headers={"retry-after": str(state.retry_after_seconds)},
            )
        return await self._authenticated(headers)

    def count(self, grant: Grant) -> Decision:
        """Count a request against its partner's limit. Raises `Problem`: 429."""
        decision = self._limiter.check(grant)
        if not decision.allowed:
            raise Problem(
                "rate-limited",
                f"the limit is {decision.limit}; go on in {decision.retry_after} s",
                headers={name.decode(): value.decode() for name, value in decision.headers()},
            )
        return decision

    def application(self, headers: Mapping[bytes, bytes], *, trusted: bool) -> None:
        """Let an application of the site pass; `trusted` when it came by the internal listener.

        Without an internal token the internal routes of the external listener are as if they were not there.
        """
        if trusted:
            return
        if self._internal is None:
            raise Problem("not-found", "there is no such resource")
        token = _bearer(headers)
        # Digests of one length: the comparison takes the same time whatever was sent.
        if token is None or not hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._internal):
            reason = "missing" if b"authorization" not in headers else "unknown"
            raise _unauthorized(reason)

    async def _authenticated(self, headers: Mapping[bytes, bytes]) -> Grant:
        token = _bearer(headers)
        if token is None:
            raise _unauthorized("malformed" if b"authorization" in headers else "missing")
        try:
            return await self._directory.authenticate(token)
        except AuthenticationError as error:
            raise _unauthorized(error.reason) from None


def require(grant: Grant, entity: str, verb: str) -> None:
    """Let a partner do something with an entity. Raises `Problem`: 403."""
    if not grant.allows(entity, verb):
        scope = f"{entity}:{verb}"
        raise Problem(
            "forbidden",
            f"the token does not carry the scope {scope}",
            headers={"www-authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )


def encoded(headers: list[tuple[str, str]]) -> list[Header]:
    """Return headers as ASGI wants them."""
    return [(name.encode(), value.encode("latin-1", errors="replace")) for name, value in headers]


def _bearer(headers: Mapping[bytes, bytes]) -> str | None:
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() != b"bearer" or not token:
        return None
    try:
        return token.strip().decode("ascii")
    except UnicodeDecodeError:
        return None


def _unauthorized(reason: str) -> Problem:
    error = "" if reason in ("missing", "malformed") else ', error="invalid_token"'
    return Problem("unauthorized", _REASONS[reason], headers={"www-authenticate": _CHALLENGE + error})
