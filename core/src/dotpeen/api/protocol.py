"""HTTP as uvicorn and httptools speak it, with limits on what a client may make the server wait for and keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dotpeen.api.call import Header
from dotpeen.api.direct import Direct
from dotpeen.api.heads import LONGEST, Head, read_head
from dotpeen.api.problems import MEDIA_TYPE

HEAD_BYTES: Final = 65_536
"""Request line and headers together."""
HEAD_SECONDS: Final = 15.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
BODY_SECONDS: Final = 30.0
"""From there to the end of its body."""
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than proxies keep a connection: then it is never this side that closes one just as a request comes."""

HEADS: Final = 16
"""Heads remembered of one connection."""

_IDLE, _HEAD, _BODY = range(3)
_feed: Final = HttpToolsProtocol.data_received


class Protocol(HttpToolsProtocol):
    """One connection. A request that comes whole, as nearly all do, costs no timer and a microsecond.

    Those that `direct` takes never get as far as the parser.
    """

    def __init__(self, *arguments: Any, direct: Direct | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.remote = ""
        self._direct = direct
        self._heads: dict[bytes, Head | None] = {}
        self._taken = False
        """`direct` is about to answer a request."""
        self._held = b""
        """What came meanwhile."""
        self._ending = False
        self._defaults: tuple[object, bytes, bool] = (None, b"", False)
        self._quiet_since = 0.0
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timed = _IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, and not for ever."""
        super().connection_made(transport)
        if self.client is not None:
            self.remote = self.client[0]
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take what came, then see whether it was all."""
        if self._direct is not None:
            if self._taken:
                self._hold(data)
                return
            if self._take(data, self._direct):
                return
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

    def answer(self, status: int, body: bytes, headers: Sequence[Header]) -> None:
        """Send what `direct` answers."""
        fields = [b"%s: %s\r\n" % header for header in headers]
        self.send([STATUS_LINE[status], b"", *fields, b"\r\n", body])

    def send(self, pieces: list[bytes]) -> None:
        """Send what `direct` answers; the second of the pieces is the place of the default headers."""
        state = self.server_state
        if state.default_headers is not self._defaults[0]:
            joined = b"".join(b"%s: %s\r\n" % header for header in state.default_headers)
            last = (b"connection", b"close") in state.default_headers
            self._defaults = (state.default_headers, joined, last)
        state.total_requests += 1
        self._taken = False
        transport = self.transport
        if transport.is_closing():
            return
        _, pieces[1], last = self._defaults
        if self._ending and not last:
            pieces[1] += b"connection: close\r\n"
        transport.write(b"".join(pieces))
        if last or self._ending:
            transport.close()
            return
        # One timer for many requests: it looks again when it is due.
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._held:
            held, self._held = self._held, b""
            self.flow.resume_reading()
            self.data_received(held)

    def shutdown(self) -> None:
        """End once what is under way is answered."""
        if self._taken:
            self._ending = True
        else:
            super().shutdown()

    def _take(self, data: bytes, direct: Direct) -> bool:
        line, _, rest = data.partition(b"\r\n")
        try:
            head = self._heads[rest]
        except KeyError:
            if len(rest) > LONGEST:
                return False
            if len(self._heads) >= HEADS:
                self._heads.clear()
            head = self._heads[rest] = read_head(rest)
        if head is None or not self._between():
            return False
        self._taken = direct.take(self, line, head)
        if self._taken and self._timer is not None:
            self._stop_timer()
        return self._taken

    def _between(self) -> bool:
        """Whether nothing is under way: no answer, no part of a request, nothing that the client has to read first."""
        if self.scope is not None:
            cycle = self.cycle
            if (
                cycle is None
                or cycle.scope is not self.scope
                or cycle.more_body
                or not cycle.response_complete
            ):
                return False
        return not (self.pipeline or self.flow.write_paused or self.transport.is_closing())

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.flow.pause_reading()

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
        self.timeout_keep_alive_task = None
        if self._taken:
            return
        rest = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)
        elif self.transport.get_write_buffer_size():
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
