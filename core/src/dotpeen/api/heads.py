"""The header fields of a request, where they are plain: on a connection that is kept, the same ones each time.

Only a strict part of HTTP's grammar is read here (RFC 9112 5, one line a field, visible ASCII and single spaces), and
of that only what asks for nothing special. Whatever else comes is left to the HTTP parser, so that there is nothing
that two parsers could understand in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dotpeen.api.call import accepts_gzip
from dotpeen.errors import AuthenticationError
from dotpeen.partners.tokens import ReadToken, read_token

LONGEST: Final = 4096
"""Bytes; longer heads are left to the parser."""
_PLAIN: Final = re.compile(rb"(?:[A-Za-z0-9-]+: [\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\r\n)+\r\n")
_BEARER: Final = re.compile(rb"(?i:bearer) +([\x21-\x7e]+)")
_UNDERSTOOD: Final = frozenset(
    b"accept accept-encoding accept-language authorization cache-control connection dnt host pragma user-agent "
    b"x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip x-request-id "
    b"traceparent tracestate forwarded via".split()
)
"""What a head may have. Conditions, ranges, bodies, upgrades and origins are for the parser."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a plain head says."""

    token: ReadToken
    gzip: bool
    forwarded: str | None
    request_id: bytes | None
    traceparent: bytes | None


def read_head(head: bytes) -> Head | None:
    """Return what a head says, from after the request line to the empty line; None: let the parser have it."""
    if len(head) > LONGEST or not _PLAIN.fullmatch(head):
        return None
    fields: dict[bytes, bytes] = {}
    for line in head[:-4].split(b"\r\n"):
        name, _, value = line.partition(b": ")
        name = name.lower()
        if name in fields or name not in _UNDERSTOOD:
            return None
        fields[name] = value
    if b"host" not in fields or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    bearer = _BEARER.fullmatch(fields.get(b"authorization", b""))
    if bearer is None:
        return None
    try:
        token = read_token(bearer[1].decode("ascii"))
    except AuthenticationError:
        return None
    forwarded = fields.get(b"x-forwarded-for")
    return Head(
        token=token,
        gzip=accepts_gzip(fields.get(b"accept-encoding", b"")),
        forwarded=None if forwarded is None else forwarded.decode("ascii"),
        request_id=fields.get(b"x-request-id"),
        traceparent=fields.get(b"traceparent"),
    )
