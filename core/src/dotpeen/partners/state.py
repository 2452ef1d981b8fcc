"""The switch of the external interface: one row that every node asks for once a second."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.types.json import Jsonb

from dotpeen.database import Connection
from dotpeen.errors import PartnerError

RETRY_AFTER: Final = timedelta(seconds=60)
"""When partners are told to try again, where nothing else was said."""
_LONGEST: Final = timedelta(days=30)
_REASON_LENGTH: Final = 300


@dataclass(frozen=True)
class ApiState:
    """Whether the external interface answers, since when, and why not."""

    enabled: bool = True
    reason: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None
    retry_after_seconds: int = int(RETRY_AFTER.total_seconds())


def read_state(connection: Connection) -> ApiState:
    """Return what the switch says; on, where nobody ever touched it."""
    installed = connection.execute(
        "SELECT pg_catalog.to_regclass('dotpeen.api_state') IS NOT NULL"
    ).fetchone()
    if installed is None or not installed[0]:
        return ApiState()
    row = connection.execute(
        "SELECT external_enabled, reason, changed_at, changed_by, retry_after_seconds FROM dotpeen.api_state"
    ).fetchone()
    return ApiState(*row) if row else ApiState()


def disable_external(
    connection: Connection, *, by: str, reason: str | None = None, retry_after: timedelta = RETRY_AFTER
) -> ApiState:
    """Switch the external interface off: within two seconds every node answers partners with 503.

    `reason` is shown to partners. Raises `PartnerError` for a reason or a time that makes no sense to them.
    """
    if reason is not None:
        reason = reason.strip()
        if not reason or len(reason) > _REASON_LENGTH or re.search(r"[\x00-\x1f\x7f]", reason):
            raise PartnerError(f"a reason is one line of 1 to {_REASON_LENGTH} characters: partners read it")
    if not timedelta(seconds=1) <= retry_after <= _LONGEST:
        raise PartnerError("partners can be told to try again after 1 s to 30 days")
    seconds = int(retry_after.total_seconds())
    return _switch(
        connection, ApiState(enabled=False, reason=reason, changed_by=by, retry_after_seconds=seconds)
    )


def enable_external(connection: Connection, *, by: str) -> ApiState:
    """Switch it on again."""
    return _switch(connection, ApiState(enabled=True, changed_by=by))


def _switch(connection: Connection, wanted: ApiState) -> ApiState:
    with connection.transaction():
        row = connection.execute(
            "UPDATE dotpeen.api_state SET external_enabled = %s, reason = %s, retry_after_seconds = %s,"
            " changed_by = %s, changed_at = pg_catalog.clock_timestamp()"
            " RETURNING external_enabled, reason, changed_at, changed_by, retry_after_seconds",
            [wanted.enabled, wanted.reason, wanted.retry_after_seconds, wanted.changed_by],
        ).fetchone()
        detail = None
        if not wanted.enabled:
            detail = {"reason": wanted.reason, "retry_after_seconds": wanted.retry_after_seconds}
            detail = {key: value for key, value in detail.items() if value is not None}
        connection.execute(
            "INSERT INTO dotpeen.journal (actor, action, outcome, detail) VALUES (%s, %s, 'done', %s)",
            [
                wanted.changed_by,
                f"api {'enable' if wanted.enabled else 'disable'} external",
                Jsonb(detail) if detail else None,
            ],
        )
    return ApiState(*row) if row else wanted
