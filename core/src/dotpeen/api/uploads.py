"""Bodies on their way to routes that read them as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from typing import Any

from dotpeen.api.body import discard, stream_body
from dotpeen.api.call import Answer, Call


class Upload:
    """A body on its way to a route that reads it as it comes."""

    def __init__(self, call: Call, limit: int) -> None:
        self._call = call
        self._limit = limit
        self._begun = False
        empty = call.headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in call.headers
        self._complete = empty or call.receive is None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it. Raises `Problem`."""
        if self._call.receive is not None:
            self._begun = True
            async for piece in stream_body(self._receive, self._call.headers, limit=self._limit):
                yield piece

    async def _receive(self) -> MutableMapping[str, Any]:
        assert self._call.receive is not None  # noqa: S101 - asked before
        message = await self._call.receive()
        self._complete = not message.get("more_body", False)
        return message

    async def end(self, answer: Answer) -> None:
        """See to it that an answer that came before the body's end reaches its client."""
        if self._complete:
            return
        # Whoever asked whether to send it at all (RFC 9110 10.1.1) has sent nothing yet.
        if self._begun or b"expect" not in self._call.headers:
            await discard(self._receive)
        answer.headers.append((b"connection", b"close"))
