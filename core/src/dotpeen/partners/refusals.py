"""Refusals of partners (403, 429): the first of a kind goes into the audit trail at once, more of it are summed up.

Who is refused is given nothing, and may ask again as fast as the network goes: an entry for each would let a partner
fill the trail, and would cost the database more than the answer that was refused.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, TypeAlias

from dotpeen.errors import DotpeenError
from dotpeen.partners.audit import AuditEntry, AuditLog

SECONDS: Final = 1.0
"""Refusals of one kind within this time are one entry, after the first."""

_log = logging.getLogger(__name__)
_Kind: TypeAlias = tuple[str | None, str | None, int]
"""Partner, token and status."""


class Refusals:
    """Writes the refusals of a node into its audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._summed: dict[_Kind, AuditEntry | None] = {}
        self._timers: dict[_Kind, asyncio.TimerHandle] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def write(self, entry: AuditEntry) -> None:
        """Return once the entry is in the database, or counted.

        Raises what `AuditLog.write` does.
        """
        kind = (entry.partner, entry.token_id, entry.status)
        if kind in self._summed:
            self._summed[kind] = _sum(self._summed[kind], entry)
            return
        self._wait(kind)
        await self._audit.write(entry)

    async def close(self) -> None:
        """Write what was counted."""
        for timer in self._timers.values():
            timer.cancel()
        for kind in list(self._summed):
            self._write(kind)
        if self._writing:
            await asyncio.wait(self._writing)

    def _wait(self, kind: _Kind) -> None:
        self._summed[kind] = None
        self._timers[kind] = asyncio.get_running_loop().call_later(SECONDS, self._over, kind)

    def _over(self, kind: _Kind) -> None:
        if self._write(kind):
            self._wait(kind)

    def _write(self, kind: _Kind) -> bool:
        """Write what was counted, if anything was."""
        self._timers.pop(kind, None)
        entry = self._summed.pop(kind)
        if entry is None:
            return False
        task = asyncio.create_task(self._record(entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return True

    async def _record(self, entry: AuditEntry) -> None:
        try:
            await self._audit.write(entry)
        except (DotpeenError, ValueError) as error:
            _log.warning("%d refusals of a partner are not in the audit trail: %s", entry.requests, error)


def _sum(known: AuditEntry | None, entry: AuditEntry) -> AuditEntry:
    """Return one entry for both: of the latest, without what is not the same."""
    if known is None:
        return entry
    return entry._replace(
        requests=known.requests + entry.requests,
        route=entry.route if entry.route == known.route else "*",
        method=entry.method if entry.method == known.method else "*",
        entity=entry.entity if entry.entity == known.entity else None,
    )
