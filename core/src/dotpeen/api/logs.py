"""The server's log: one JSON object per line on standard error.

Neither tokens nor values get there: a traceback names places in the code, and of what an error says, quoted parts are
left out. `DOTPEEN_DEBUG` shows all of it.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, TextIO, TypeAlias

import psycopg
import structlog

Event: TypeAlias = MutableMapping[str, Any]

request: ContextVar[dict[str, Any] | None] = ContextVar("request", default=None)
"""The state of the request that is being answered."""

_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'|\([^()]*\)=\([^()]*\)")
_FRAMES: Final = 30
"""The innermost frames of a traceback that are written."""


def configure(stream: TextIO | None = None) -> None:
    """Send what the server and its libraries log to `stream` (default: standard error), as JSON."""
    output = stream or sys.stderr
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _request_ids,
        _exception,
    ]
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _mask_foreign, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Its warnings are about what clients send, as often as they like.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _request_ids(logger: Any, method: str, event: Event) -> Event:
    state = request.get()
    if state is not None:
        event["requestId"] = state["request_id"]
        event["traceId"] = state["trace_id"]
        event["spanId"] = state["span_id"]
    return event


def _mask_foreign(logger: Any, method: str, event: Event) -> Event:
    # asyncio prints exceptions with all they say.
    if not str(event.get("logger", "")).startswith("dotpeen"):
        event["event"] = masked(str(event["event"]))
    return event


def _exception(logger: Any, method: str, event: Event) -> Event:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    if given is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> dict[str, Any]:
    """An exception for the log: its type, what it says without values, and where it came from."""
    found: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        diagnosis = error.diag
        found["sqlstate"] = error.sqlstate
        for name in ("table_name", "column_name", "constraint_name"):
            if (value := getattr(diagnosis, name)) is not None:
                found[name] = value
        if os.environ.get("DOTPEEN_DEBUG"):
            found["message"] = str(error)
    else:
        found["message"] = masked(str(error))
    found["frames"] = _frames(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        found["cause"] = describe(cause)
    return found


def masked(text: str) -> str:
    """A message without its quoted parts, which may be values that came with a request."""
    if os.environ.get("DOTPEEN_DEBUG"):
        return text
    return _QUOTED.sub("'…'", text)[:500]


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-_FRAMES:]]
