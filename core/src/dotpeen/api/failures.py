"""From what went wrong to the problem that a client is told. Nothing of the database's own words gets out."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import psycopg
import psycopg_pool

from dotpeen.api.problems import EXAMPLE_UUID, Problem
from dotpeen.errors import (
    AmbiguousIdentifierError,
    DatabaseUnreachableError,
    InvalidQueryError,
    InvalidValueError,
    NotMigratedError,
    RecordChangedError,
    RecordConflictError,
    RecordNotFoundError,
)
from dotpeen.identifiers import InvalidUuidError

_log = logging.getLogger(__name__)
_RETRY_SECONDS = "2"
_CONNECTION = ("08", "57P", "53")
"""SQLSTATE classes: connection exception, operator intervention, insufficient resources."""
_PASSING: Final = {
    "25006": "read-only transaction",
    "25P03": "idle in a transaction for too long",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "lock not available",
    "58030": "input or output error",
}
"""Other SQLSTATEs of what passes, and would not happen again to who asks again."""


def as_problem(error: BaseException) -> Problem:
    """Return the problem; an error that nobody foresaw is logged and becomes a 500 without details."""
    match error:
        case Problem():
            return error
        case RecordNotFoundError():
            return Problem(
                "not-found",
                f"no {error.entity or 'record'} has this identifier",
                error=f"{error.entity or 'Record'} not found",
                identifier=shortened(error.identifier),
            )
        case AmbiguousIdentifierError():
            return Problem(
                "ambiguous-identifier",
                f"{error.records} {error.entity or 'different'} records answer to this identifier;"
                " ask by UUID or by field",
                identifier=shortened(error.identifier),
                candidates=[{"field": field, "uuid": uuid} for field, uuid in error.candidates],
            )
        case InvalidUuidError():
            return Problem(
                "invalid-uuid", error.message, provided=shortened(error.value), example=EXAMPLE_UUID
            )
        case InvalidQueryError():
            return Problem("invalid-query", error.message, parameter=error.parameter)
        case InvalidValueError():
            return Problem("invalid-value", error.message, field=error.field)
        case RecordConflictError():
            return Problem("conflict", error.message, fields=list(error.fields))
        case RecordChangedError():
            return Problem("precondition-failed", "the record was changed in the meantime: read it again")
        case NotMigratedError():
            return Problem("not-migrated", error.message, headers={"retry-after": "60"})
        case TimeoutError() | asyncio.TimeoutError() | psycopg.errors.QueryCanceled():
            return Problem("timeout", "the database took too long", headers={"retry-after": _RETRY_SECONDS})
        case psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed() | psycopg_pool.TooManyRequests():
            return _unavailable()
        case DatabaseUnreachableError():
            return _unavailable()
        case psycopg.OperationalError() | psycopg.InterfaceError() if _lost(error):
            return _unavailable()
        case psycopg.errors.InsufficientPrivilege():
            # What was not granted is the administrator's to know.
            _log.error(
                "the role of the interface lacks a right: %s; grant it as docs/partners.md has it",
                error.diag.message_primary,
            )
            return _unavailable()
        case psycopg.Error() if error.sqlstate in _PASSING:
            return _unavailable("the database could not do this right now: try again")
        case _:
            _log.error("request failed", exc_info=error)
            return Problem(
                "internal-error", "something went wrong here; it was logged under this request's id"
            )


def shortened(text: str) -> str:
    """What a client sent, cut to what is sensible to send back."""
    return text if len(text) <= 200 else f"{text[:200]}…"


def _unavailable(detail: str = "the database can't be reached right now") -> Problem:
    return Problem(
        "database-unavailable",
        detail,
        headers={"retry-after": _RETRY_SECONDS},
    )


def _lost(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None)
    return state is None or str(state).startswith(_CONNECTION)
