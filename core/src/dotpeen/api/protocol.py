"""HTTP as uvicorn and httptools speak it, with limits on what a client may make the server wait for and keep."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from dotpeen.api.call import Header
from dotpeen.api.direct import Direct
from dotpeen.api.heads import LONGEST, Head, read_head
from dotpeen.api.problems import MEDIA_TYPE
from dotpeen.api.streaming import StreamCutError

HEAD_BYTES: Final = 65_536
"""Request line and headers together."""
HEAD_SECONDS: Final = 15.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
BODY_SECONDS: Final = 30.0
"""From there to the end of its body, and again as long as enough of it comes."""
BODY_RATE: Final = 65_536
"""Bytes a second that are enough: a large file over a slow line takes its time, and a trickle is no file."""
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than proxies keep a connection: then it is never this side that closes one just as a request comes."""

FRAMING_BYTES: Final = 65_536
"""Of a chunked body, what is neither content nor in proportion to it: trailers, chunk extensions."""
HEADS: Final = 16
"""Heads remembered of one connection."""

_IDLE, _HEAD, _BODY = range(3)
_feed: Final = HttpToolsProtocol.data_received
_UPGRADE: Final = re.compile(rb"(?i:(?<=\r\n)upgrade)(?=[ \t]*:)")
_IGNORED: Final = b"ignored"


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
        """When the last answer was complete, on the loop's clock."""
        self._framing = 0
        self._came = 0
        """Bytes of the body since its timer was set."""
        self._answering: RequestResponseCycle | None = None
        self._unread: asyncio.TimerHandle | None = None
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
        """Forget the timers, and those requests that came together with the one being answered."""
        self._stop_timer()
        self.resume_writing()
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take what came, then see whether it was all."""
        if self._direct is not None:
            if self._taken or self._held:
                self._hold(data)
                return
            if self._take(data, self._direct):
                return
        if self._head_bytes + len(data) > HEAD_BYTES and self._part() != _BODY:
            end = data.find(b"\r\n\r\n")
            if end < 0 or self._head_bytes + end > HEAD_BYTES:
                self._refuse_head()
                return
        if self._part() != _BODY:
            data = _without_upgrade(data)
        _feed(self, data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            if self._timer is not None:
                self._stop_timer()
                self._head_bytes = 0
            if self.timeout_keep_alive_task is None and cycle.response_complete:
                # Empty lines between requests are nothing, and put nothing off.
                rest = self._quiet_since + self.timeout_keep_alive - self.loop.time()
                self.timeout_keep_alive_task = self.loop.call_later(
                    max(0.0, rest), self.timeout_keep_alive_handler
                )
            return
        self._wait(data)

    def answer(self, status: int, body: bytes, headers: Sequence[Header]) -> None:
        """Send what `direct` answers."""
        fields = [b"%s: %s\r\n" % header for header in headers]
        self.send(STATUS_LINE[status], b"".join([*fields, b"\r\n", body]))

    def send(self, status: bytes, rest: bytes) -> None:
        """Send what `direct` answers: the status line, and what comes behind the default headers."""
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
        _, defaults, last = self._defaults
        if self._ending and not last:
            defaults += b"connection: close\r\n"
        transport.write(status + defaults + rest)
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
            # Not from here: what goes wrong with the next request is none of this one's.
            self.loop.call_soon(self._go_on)

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

    def _go_on(self) -> None:
        held, self._held = self._held, b""
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(held)

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.flow.pause_reading()

    def _wait(self, data: bytes) -> None:
        part = self._part()
        if part == _HEAD:
            # Of requests that came together, only the last is not whole yet.
            before = data.rfind(b"\r\n\r\n")
            self._head_bytes = self._head_bytes + len(data) if before < 0 else len(data) - before - 4
            if self._head_bytes > HEAD_BYTES:
                self._refuse_head()
                return
        elif part == _BODY:
            self._head_bytes = 0
            self._framing += len(data)
            if self._framing > FRAMING_BYTES:
                self._refuse(
                    431, "Request header fields too large", "chunk extensions and trailers are too long"
                )
                return
        if part != _IDLE and (self._timer is None or self._timed != part):
            self._stop_timer()
            self._timed = part
            seconds = HEAD_SECONDS if part == _HEAD else BODY_SECONDS
            self._timer = self.loop.call_later(seconds, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; those behind a chunked body are nobody's (RFC 9110 6.5.1)."""
        if self.cycle is None or self.cycle.scope is not self.scope:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; what the parser takes for an upgrade is the last on its connection."""
        self._framing = self._came = 0
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # The parser knows no body of such a request, which what follows could be.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        # The smallest chunk of one byte is six.
        self._framing -= 6 * len(body)
        self._came += len(body)
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, partial(_cut, app, cycle))

    def on_response_complete(self) -> None:
        """Go on with the next request, and read more only when all that came are answered."""
        self._quiet_since = self.loop.time()
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        """Wait for the client to read, and not for ever."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(KEEP_ALIVE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

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
        if part == _BODY and self._came >= BODY_RATE * BODY_SECONDS:
            self._came = 0
            self._timer = self.loop.call_later(BODY_SECONDS, self._too_slow)
        elif part == _HEAD:
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


async def _cut(app: Any, cycle: RequestResponseCycle, *arguments: Any) -> None:
    """Serve a request; one whose answer is cut off ends the connection, and was logged already."""
    try:
        await app(*arguments)
    except StreamCutError:
        cycle.disconnected = True
        cycle.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """Rename the field Upgrade in a head: it is ignored (RFC 9110 7.8), and the parser would drop the body for it.

    One that is cut in two, or of a request behind another one, is left, and ends the connection.
    """
    end = data.find(b"\r\n\r\n")
    head = data if end < 0 else data[:end]
    if not _UPGRADE.search(head):
        return data
    return _UPGRADE.sub(_IGNORED, head) + data[len(head) :]
