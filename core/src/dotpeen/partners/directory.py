"""The directory of a node: partners, tokens and the switch, in memory, at most about a second old.

`refresh()` asks the database for one number; only when it changed are partners and tokens read again. When the database
doesn't answer, what is known stays valid for `TRUST_SECONDS`, and the switch stays where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from dotpeen.database.pool import Pool
from dotpeen.errors import AuthenticationError, DatabaseUnreachableError, PartnerError, ScopeError
from dotpeen.partners import statements
from dotpeen.partners.grant import Grant
from dotpeen.partners.rate import DEFAULT, RateLimit
from dotpeen.partners.reconnect import AsyncConnection, ask, said
from dotpeen.partners.scopes import Scope, narrow, parse_scopes, write_scopes
from dotpeen.partners.state import ApiState
from dotpeen.partners.tokens import Kind, ReadToken, matches, new_token, read_client, read_token

TRUST_SECONDS: Final = 60.0
"""How long known tokens are accepted without a word from the database."""
ACCESS_LIFETIME: Final = timedelta(hours=1)
"""How long an OAuth 2 access token lasts."""

_log = logging.getLogger(__name__)
_PATIENCE: Final = 3.0
_UNKNOWN_SECONDS: Final = 5.0
_MOST_UNKNOWN: Final = 10_000
_MOST_ACCESS: Final = 100_000
_MOST_ASKED: Final = 1_000
_TIDY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class AccessToken:
    """An OAuth 2 access token; `token` is shown once."""

    token: str = field(repr=False)
    expires_in: int
    """Whole seconds."""
    expires_at: datetime
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class _Known:
    kind: Kind
    hash: bytes
    revoked: bool
    expires: float | None
    grant: Grant

    def judge(self, read: ReadToken) -> Grant:
        """Return the grant of a token with this id. Raises `AuthenticationError`."""
        # The secret first: who doesn't know it learns nothing else.
        if not matches(self.hash, read.hash) or self.kind != read.kind:
            raise AuthenticationError("unknown")
        if self.revoked:
            raise AuthenticationError("revoked")
        if self.expires is not None and self.expires <= time.time():
            raise AuthenticationError("expired")
        return self.grant


class Directory:
    """Tells who brought a token. Call `refresh()` once a second, or let `run()` do it."""

    def __init__(
        self,
        pool: Pool,
        *,
        default_limit: RateLimit = DEFAULT,
        access_lifetime: timedelta = ACCESS_LIFETIME,
        trust_seconds: float = TRUST_SECONDS,
    ) -> None:
        self._pool = pool
        self._default_limit = default_limit
        self._access_lifetime = access_lifetime
        self._trust_seconds = trust_seconds
        self._state = ApiState()
        self._generation: int | None = None
        self._known: dict[str, _Known] = {}
        self._unknown: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._heard = float("-inf")
        self._tried = float("-inf")
        self._refreshing = asyncio.Lock()
        self._asking: dict[str, asyncio.Future[_Known | None]] = {}
        self._asker: asyncio.Task[None] | None = None
        self._tidied = time.monotonic()
        self._down = False

    @property
    def state(self) -> ApiState:
        """The switch of the external interface, as last heard."""
        return self._state

    @property
    def generation(self) -> int | None:
        """The generation of partners and tokens in memory; None before the first refresh."""
        return self._generation

    async def refresh(self) -> bool:
        """Ask whether anything changed, and read it if so. False when the database didn't answer."""
        asked = time.monotonic()
        async with self._refreshing:
            if self._tried > asked:
                return self._heard > asked  # somebody else asked while this call waited
            try:
                await ask(self._pool, self._read_changes, patience=_PATIENCE)
            except (psycopg.Error, TimeoutError) as error:
                self._note_outage(error)
                return False
            finally:
                self._tried = time.monotonic()
            if self._down:
                self._down = False
                _log.info("partners and tokens can be read again")
        await self._tidy()
        return True

    async def run(self, *, interval: float = 1.0) -> None:
        """Refresh once in `interval` seconds, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(interval)

    def recognise(self, token: str) -> Grant | None:
        """Return the grant of a known token from memory; None: only the database can tell (`authenticate`).

        Raises `AuthenticationError` for what is known to be no good.
        """
        return self.known(read_token(token))

    def known(self, token: ReadToken) -> Grant | None:
        """As `recognise`, for a token that was read before."""
        return self._judge(token)

    async def authenticate(self, token: str) -> Grant:
        """Return what this token allows; asks the database only about one never seen here.

        Raises `AuthenticationError`, and `DatabaseUnreachableError` when nobody can tell.
        """
        read = read_token(token)
        return self._judge(read) or await self._ask(read)

    async def authenticate_client(self, client_id: str, client_secret: str) -> Grant:
        """Return what these OAuth 2 client credentials allow; raises like `authenticate`."""
        read = read_client(client_id, client_secret)
        return self._judge(read) or await self._ask(read)

    async def issue_access_token(
        self, client_id: str, client_secret: str, *, scopes: Iterable[str] | None = None
    ) -> AccessToken:
        """Give out an access token for client credentials (RFC 6749 4.4), narrowed to `scopes` if there are any.

        It ends when its partner or the token it was got for does, if not before. Raises `AuthenticationError`,
        `ScopeError` for a scope that the partner hasn't, `PartnerError` for what is no scope, and
        `DatabaseUnreachableError`.
        """
        grant = await self.authenticate_client(client_id, client_secret)
        wanted = None if scopes is None else parse_scopes(scopes)
        if wanted is not None:
            for scope in sorted(wanted):
                if not grant.allows(scope.entity, scope.verb):
                    raise ScopeError(str(scope))
        token = new_token("access")
        parameters = {
            "id": token.id,
            "hash": token.hash,
            "scopes": None if wanted is None else write_scopes(wanted),
            "lifetime": self._access_lifetime,
            "parent": grant.token_id,
        }
        rows = await self._fetch(statements.ISSUE, parameters)
        if not rows:
            # Changed since the last refresh: say how.
            await self.refresh()
            await self.authenticate_client(client_id, client_secret)
            raise AuthenticationError("revoked")
        expires, seconds = rows[0]
        return AccessToken(token.text, int(seconds), _moment(expires), wanted or grant.scopes)

    def _judge(self, read: ReadToken) -> Grant | None:
        known = self._known.get(read.id)
        if known is None:
            if self._unknown.get(read.id, 0.0) > time.monotonic():
                raise AuthenticationError("unknown")
            return None
        grant = known.judge(read)
        if time.monotonic() - self._heard > self._trust_seconds:
            return None
        self._used[read.id] = time.time()
        return grant

    async def _ask(self, read: ReadToken) -> Grant:
        if time.monotonic() - self._heard > self._trust_seconds and not await self.refresh():
            raise _unreachable()
        grant = self._judge(read)
        if grant is not None:
            return grant
        asked = self._asking.get(read.id)
        if asked is None:
            asked = self._asking[read.id] = asyncio.get_running_loop().create_future()
            if self._asker is None:
                self._asker = asyncio.create_task(self._answer_all(), name="token lookup")
        # Shielded: one who goes away must not take the answer from the others.
        known = await asyncio.shield(asked)
        if known is None:
            raise AuthenticationError("unknown")
        return known.judge(read)

    async def _answer_all(self) -> None:
        # One statement at a time, however many guess: a flood of unknown tokens costs the database no more.
        try:
            while self._asking:
                ids = list(self._asking)[:_MOST_ASKED]
                try:
                    found = await self._look_up(ids)
                except (psycopg.Error, DatabaseUnreachableError):
                    self._settle(ids, None)
                else:
                    self._settle(ids, found)
        finally:
            # No await since `_asking` was seen empty; it isn't only when this task was cancelled.
            self._settle(list(self._asking), None)
            self._asker = None

    def _settle(self, ids: list[str], found: dict[str, _Known] | None) -> None:
        for public in ids:
            asked = self._asking.pop(public)
            if asked.done():
                continue
            if found is not None:
                asked.set_result(found.get(public))
            else:
                asked.set_exception(_unreachable())
                asked.exception()  # retrieved here, in case that nobody waits any more

    async def _look_up(self, ids: list[str]) -> dict[str, _Known]:
        for _ in range(3):
            rows = await self._fetch(statements.LOOK_UP, {"ids": ids})
            # What was read before a change that this node has seen since says nothing.
            if self._generation is None or (rows and rows[0][0] >= self._generation):
                break
        else:
            raise _unreachable()
        found = {row[1]: self._entry(row[1:]) for row in rows if row[1] is not None}
        self._known.update(found)
        until = time.monotonic() + _UNKNOWN_SECONDS
        self._unknown.update((public, until) for public in ids if public not in found)
        self._keep_bounds()
        return found

    def _keep_bounds(self) -> None:
        while len(self._unknown) > _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        if len(self._known) <= _MOST_ACCESS:
            return
        access = [public for public, known in self._known.items() if known.kind == "access"]
        for public in access[: max(0, len(access) - _MOST_ACCESS)]:
            del self._known[public]  # read again when it comes back

    async def _read_changes(self, connection: AsyncConnection) -> None:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            # Asked first: what is read afterwards is at least as new, and a change in between is seen next time.
            await cursor.execute(statements.STATE)
            row = await cursor.fetchone()
            if row is None:
                raise psycopg.DataError("dotpeen.api_state is empty")
            generation, *state = row
            known = None
            if generation != self._generation:
                now = time.time()
                access = [
                    public
                    for public, entry in self._known.items()
                    if entry.kind == "access" and (entry.expires or 0) > now
                ]
                await cursor.execute(statements.TOKENS, {"ids": access})
                known = {row[0]: self._entry(row) for row in await cursor.fetchall()}
        if known is not None:
            self._known, self._generation = known, generation
            self._unknown.clear()
        self._state = ApiState(*state)
        self._heard = time.monotonic()

    def _entry(self, row: Any) -> _Known:
        (
            public,
            kind,
            hashed,
            partner,
            name,
            partner_scopes,
            own_scopes,
            requests,
            seconds,
            expires,
            revoked,
        ) = row
        scopes = _readable(name, partner_scopes)
        if own_scopes is not None:
            scopes = narrow(scopes, _readable(name, own_scopes))
        limit = self._default_limit if requests is None else RateLimit(requests, seconds)
        moment = None if expires is None else _moment(expires)
        grant = Grant(partner, name, scopes, public, limit, moment)
        return _Known(kind, bytes(hashed), revoked, expires, grant)

    async def _fetch(self, statement: Any, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        async def fetch(connection: AsyncConnection) -> list[tuple[Any, ...]]:
            async with connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(statement, parameters)
                return list(await cursor.fetchall())

        try:
            return await ask(self._pool, fetch, patience=_PATIENCE)
        except (psycopg.OperationalError, TimeoutError):
            raise _unreachable() from None

    async def _tidy(self) -> None:
        """Note when tokens were used, and delete access tokens that ended a day ago."""
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        now = time.monotonic()
        self._unknown = {public: until for public, until in self._unknown.items() if until > now}
        used, self._used = self._used, {}
        try:
            async with asyncio.timeout(_PATIENCE), self._pool.connection() as connection:
                await connection.execute(statements.USED, {"ids": list(used), "times": list(used.values())})
                await connection.execute(statements.FORGET)
        except (psycopg.Error, TimeoutError) as error:
            _log.info("when tokens were used could not be noted: %s", said(error))

    def _note_outage(self, error: Exception) -> None:
        if not self._down:
            self._down = True
            _log.warning(
                "partners and tokens can't be read; known ones stay valid for %.0f s: %s",
                self._trust_seconds,
                said(error),
            )


def _readable(partner: str, texts: Iterable[str]) -> frozenset[Scope]:
    scopes = set()
    for text in texts:
        try:
            scopes.add(Scope.parse(text))
        except PartnerError as error:
            # Written by hand, or by a later release: it must not keep all other partners out.
            _log.warning("partner %s: a scope is left out: %s", partner, error.message)
    return frozenset(scopes)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _unreachable() -> DatabaseUnreachableError:
    return DatabaseUnreachableError("who brought this token can't be told: the database does not answer")
