"""Answers that are sent while they are made: bytes from another thread or loop, waited for when the client is slow.

What was made and sent can't be taken back: an answer that fails on its way is cut off, so that nobody takes it for
whole.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PIECE_BYTES: Final = 65_536
"""Small chunks are sent together: each costs a change of threads."""
TAKEN_BYTES: Final = 1_048_576
"""What compresses well is sent after so much of it."""
HELD_SECONDS: Final = 1.0
PIECES_AHEAD: Final = 4
"""Made and not yet sent, at most."""
STALLED_SECONDS: Final = 60.0
"""A client that takes nothing for so long is given up, and with it the session that its answer is read from."""
_log = logging.getLogger(__name__)


class StreamCutError(Exception):
    """An answer failed after it had begun; whoever serves the connection closes it.

    Where it is raised, or what made the answer, has logged why: nobody after that needs to.
    """


class Stream:
    """Bytes on their way from who makes them to the event loop that sends them."""

    def __init__(self, *, on_close: Callable[[], None] = lambda: None, deadline: float | None = None) -> None:
        """`on_close` is called, in a thread, when nobody will take more before the end: to interrupt who makes them.

        `deadline`, by the loop's clock, is when they have to be complete.
        """
        self._deadline = deadline
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(PIECES_AHEAD)
        self._on_close = on_close
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether nobody takes what is made any more."""
        return self._closed.is_set()

    def put(self, piece: bytes | BaseException | None) -> bool:
        """Hand on a piece, the error that ends them, or None at their end; called in another thread.

        Waits while enough are on their way. False: nobody wants it.
        """
        if self.closed:
            return False
        try:
            waiting = asyncio.run_coroutine_threadsafe(self._put(piece), self._loop)
        except RuntimeError:
            return False  # the loop has ended
        return waiting.result()

    async def put_from(self, piece: bytes | BaseException | None) -> bool:
        """As `put`, for who makes them on another event loop."""
        if self.closed:
            return False
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._put(piece), self._loop))

    async def get(self) -> bytes | None:
        """Return the next piece, None at the end. Raises `StreamCutError` from what ended them, or `TimeoutError`."""
        async with asyncio.timeout_at(self._deadline):
            piece = await self._pieces.get()
        self._ended = piece is None
        if isinstance(piece, BaseException):
            raise StreamCutError(f"an answer was cut off: {type(piece).__name__}") from piece
        return piece

    async def close(self) -> None:
        """Take no more; whoever waits to hand something on is let go."""
        if self.closed:
            return
        self._closed.set()
        while not self._pieces.empty():
            self._pieces.get_nowait()
        if self._ended:
            return
        # It may ask the database to cancel a statement, over a connection of its own.
        threading.Thread(target=self._on_close, name="dotpeen stream", daemon=True).start()

    async def _put(self, piece: bytes | BaseException | None) -> bool:
        while not self.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._pieces.put(piece)
                return True
        return False


async def send_stream(
    send: Send, receive: Receive, stream: Stream, *, status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send an answer as it is made, until its end or until the client goes away.

    Raises `StreamCutError` where it failed, or the client stopped taking it.
    """
    gone = asyncio.create_task(gone_away(receive))
    try:
        await _taken(send({"type": "http.response.start", "status": status, "headers": headers}))
        while True:
            piece = await _unless(gone, stream)
            if gone.done():
                return
            await _taken(
                send({"type": "http.response.body", "body": piece or b"", "more_body": piece is not None})
            )
            if piece is None:
                return
    except StreamCutError:
        raise
    except Exception as error:
        _log.warning("an answer was cut off: %s", type(error).__name__)
        raise StreamCutError(f"an answer was cut off: {type(error).__name__}") from error
    finally:
        gone.cancel()
        await stream.close()


def in_pieces(chunks: Iterable[bytes], *, compressed: bool = False) -> Iterator[bytes]:
    """Join small chunks, and compress them (gzip) where asked; nothing is held back for much more than a second."""
    packer = zlib.compressobj(5, zlib.DEFLATED, 31) if compressed else None
    waiting: list[bytes] = []
    size = taken = 0
    last = time.monotonic()
    for chunk in chunks:
        one = packer.compress(chunk) if packer else chunk
        waiting.append(one)
        size += len(one)
        taken += len(chunk)
        if size >= PIECE_BYTES or taken >= TAKEN_BYTES or time.monotonic() - last > HELD_SECONDS:
            if packer and size < PIECE_BYTES:
                waiting.append(packer.flush(zlib.Z_SYNC_FLUSH))
            yield b"".join(waiting)
            waiting, size, taken, last = [], 0, 0, time.monotonic()
    if packer:
        waiting.append(packer.flush())
    if any(waiting):
        yield b"".join(waiting)


async def gone_away(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unless(gone: asyncio.Task[None], stream: Stream) -> bytes | None:
    """The next piece, unless the client goes away before it is there."""
    getting = asyncio.create_task(stream.get())
    try:
        await asyncio.wait([gone, getting], return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()


async def _taken(sending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await sending
    except TimeoutError:
        _log.warning("an answer was cut off: the client took nothing for %.0f s", STALLED_SECONDS)
        raise StreamCutError(f"the client took nothing for {STALLED_SECONDS:.0f} s") from None
