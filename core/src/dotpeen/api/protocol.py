"""HTTP as uvicorn and httptools speak it, with limits on what a client may make the server wait for and keep."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dotpeen.api.problems import MEDIA_TYPE

HEAD_BYTES: Final = 65_536
"""Request line and headers together."""
HEAD_SECONDS: Final = 15.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
BODY_SECONDS: Final = 30.0
"""From there to the end of its body."""
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than proxies keep a connection: then it is never this side that closes one just as a request comes."""

_IDLE, _HEAD, _BODY = range(3)
_feed: Final = HttpToolsProtocol.data_received


class Protocol(HttpToolsProtocol):
    """One connection. A request that comes whole, as nearly all do, costs no timer and a microsecond."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timed = _IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, and not for ever."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, then see whether it was all."""
        if len(data) > HEAD_BYTES and self._part() != _BODY:
            end = data.find(b"\r\n\r\n")
            if end < 0 or self._head_bytes + end > HEAD_BYTES:
                self._refuse_head()
                return
        _feed(self, data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            if self._timer is not None:
                self._stop_timer()
                self._head_bytes = 0
            return
        self._wait(len(data))

    def _wait(self, size: int) -> None:
        part = self._part()
        if part == _HEAD:
            self._head_bytes += size
            if self._head_bytes > HEAD_BYTES:
                self._refuse_head()
                return
        elif part == _BODY:
            self._head_bytes = 0
        if part != _IDLE and (self._timer is None or self._timed != part):
            self._stop_timer()
            self._timed = part
            seconds = HEAD_SECONDS if part == _HEAD else BODY_SECONDS
            self._timer = self.loop.call_later(seconds, self._too_slow)

    def _part(self) -> int:
        # The parser makes a scope where a request begins, and a cycle where its headers end.
        if self.scope is None:
            return _IDLE
        if self.cycle is None or self.cycle.scope is not self.scope:
            return _HEAD
        return _BODY if self.cycle.more_body else _IDLE

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was quiet for long, also where the client never fetched its answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP."""
        self._refuse(400, "Invalid HTTP request", "this is no request of HTTP/1.1")

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        part = self._part()
        if part == _HEAD:
            self._refuse(408, "Request timeout", f"the headers took longer than {HEAD_SECONDS:.0f} s")
        elif part == _BODY and self.cycle is not None and not self.cycle.response_started:
            self._refuse(408, "Request timeout", f"the body took longer than {BODY_SECONDS:.0f} s")
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        self._refuse(431, "Request header fields too large", f"they may have {HEAD_BYTES} bytes together")

    def _refuse(self, status: int, title: str, detail: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # in the middle of an answer nothing else can be said
            return
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "error": title}
        body = json.dumps(problem).encode()
        head = f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE.decode()}\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
