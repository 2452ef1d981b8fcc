"""What a route's handler is given, and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes

import psycopg

from dotpeen.api.problems import Problem
from dotpeen.api.streaming import Receive, Stream
from dotpeen.partners import Grant
from dotpeen.partners.recording import Access
from dotpeen.records import Shape

Header: TypeAlias = tuple[bytes, bytes]
Record: TypeAlias = Callable[["psycopg.AsyncConnection[Any]", "Answer"], Awaitable[None]]
JSON: Final = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """A response: its body is whole, and small enough to be; or is sent as it is made, by `stream`."""

    status: int
    body: bytes
    headers: list[Header] = field(default_factory=list)
    uuid: str | None = None
    """The record that was given away, for the audit trail."""
    entity: str | None = None
    """Its entity, where the route does not say."""
    records: int = 0
    uuids: tuple[str, ...] = ()
    """The records that were given away, where they may be several."""
    changed: tuple[str, ...] = ()
    """Columns that were written."""
    recorded: bool = False
    """The audit trail has it already: written with what it tells of."""
    stream: Stream | None = None
    """In the place of `body`. Whoever doesn't send it closes it."""


@dataclass(slots=True)
class Call:
    """One request on its way through a route."""

    method: str
    path: str
    """As it came, percent-encoded."""
    query: bytes
    headers: Mapping[bytes, bytes]
    values: tuple[str, ...]
    """The parts of the path that the route leaves open, decoded."""
    shape: Shape | None
    read_body: Callable[[], Awaitable[bytes]]
    request_id: str
    grant: Grant | None = None
    receive: Receive | None = None
    """Of the server: tells when the client goes away."""
    record: Record | None = None
    """For a partner's change: writes its audit entry in the transaction of the change."""
    route: str | None = None
    """The pattern of the path."""
    access: Callable[[], Access] | None = None
    """For a partner: what a statement that writes its own audit entry is given."""

    def parameters(self) -> list[tuple[str, str]]:
        """The query as names and values. Raises `Problem` where it is not UTF-8 or too long."""
        if not self.query:
            return []
        try:
            return parse_qsl(
                self.query.decode("ascii"),
                keep_blank_values=True,
                encoding="utf-8",
                errors="strict",
                max_num_fields=1000,
            )
        except (UnicodeDecodeError, ValueError):
            raise Problem(
                "invalid-query", "the query string is not percent-encoded UTF-8 of up to 1000 fields"
            ) from None

    async def json(self) -> dict[str, Any]:
        """The body, which must be a JSON object; numbers that are not whole are `Decimal`.

        Raises `Problem` where it is not.
        """
        kind = self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind not in (b"application/json", b"application/merge-patch+json"):
            raise Problem("unsupported-media-type", "send the body as application/json")
        body = await self.read_body()
        try:
            document = json.loads(
                body.decode("utf-8"),
                parse_constant=_refuse_constant,
                parse_float=_number,
                object_pairs_hook=_object,
            )
        except UnicodeDecodeError:
            raise Problem("malformed-json", "the body is not UTF-8") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise Problem("malformed-json", f"the body is no JSON: {error.msg} at {where}") from None
        except _RefusedJsonError as error:
            raise Problem("malformed-json", f"the body is no JSON: {error}") from None
        except (ValueError, RecursionError):
            # Python's own words about its limits are not for clients.
            raise Problem(
                "malformed-json", "the body has a number too long or is nested too deeply"
            ) from None
        if not isinstance(document, dict):
            raise Problem("malformed-json", "the body is not a JSON object")
        return document


def decode(segment: bytes) -> str:
    """One percent-encoded part of a path. Raises `Problem` where it is not UTF-8."""
    if b"%" not in segment:
        try:
            return segment.decode("ascii")
        except UnicodeDecodeError:
            pass  # servers hand on what clients should have encoded
    try:
        text = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("invalid-path", "the path is not percent-encoded UTF-8") from None
    if "\0" in text:
        raise Problem("invalid-path", "the path contains the character NUL")
    return text


def accepts_gzip(value: bytes) -> bool:
    """Tell whether an Accept-Encoding allows gzip (RFC 9110 12.5.3)."""
    for part in value.lower().split(b","):
        name, _, parameters = part.partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


class _RefusedJsonError(ValueError):
    """Python reads it, and it is no JSON that means one thing."""


def _refuse_constant(name: str) -> None:
    raise _RefusedJsonError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RefusedJsonError(f"{name[:100]!r} stands in an object twice")
            seen.add(name)
    return found


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _RefusedJsonError("a number has an exponent beyond all measure") from None
