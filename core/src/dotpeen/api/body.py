"""The body of a request, up to the size that the site takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Final

from dotpeen.api.problems import Problem
from dotpeen.api.streaming import Receive

DISCARDED_BYTES: Final = 16_777_216
DISCARDED_SECONDS: Final = 5.0
"""How much of a body that is too large is taken and thrown away, and for how long."""
_LENGTH_DIGITS: Final = 18


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], *, limit: int) -> bytes:
    """Return the body. Raises `Problem`: 413 for one of more than `limit` bytes, 415 for one that is compressed."""
    return b"".join([piece async for piece in stream_body(receive, headers, limit=limit)])


async def stream_body(
    receive: Receive, headers: Mapping[bytes, bytes], *, limit: int
) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises what `read_body` does, at the latest when the limit is passed."""
    coding = headers.get(b"content-encoding", b"").strip().lower()
    if coding not in (b"", b"identity"):
        raise Problem(
            "unsupported-media-type",
            "send the body as it is, without Content-Encoding",
            headers={"accept-encoding": "identity"},
        )
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > _LENGTH_DIGITS:
        raise Problem("invalid-header", "Content-Length is no number of bytes")
    if int(declared) > limit:
        # Whoever asked whether to send it at all (RFC 9110 10.1.1) is told no.
        if b"expect" not in headers:
            await discard(receive)
        raise _too_large(limit)
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("malformed-json", "the client went away before the body was complete")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            if message.get("more_body", False):
                await discard(receive)
            raise _too_large(limit)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def discard(receive: Receive) -> None:
    """Take what is still on its way: a connection that is closed before is reset, and the answer lost with it."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARDED_SECONDS):
            while size < DISCARDED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _too_large(limit: int) -> Problem:
    return Problem("body-too-large", f"a body may have {limit} bytes", headers={"connection": "close"})
