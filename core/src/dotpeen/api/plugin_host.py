"""Foreign ASGI applications, each plugin's on an event loop of its own in a thread of its own.

A route that blocks, hangs or fails is that plugin's alone: the loop that answers everybody else never runs its code.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

import anyio

from dotpeen.api.call import Answer, Header
from dotpeen.api.problems import Problem
from dotpeen.api.streaming import Stream

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

AT_ONCE: Final = 16
"""Requests of one plugin under way, those included that nobody waits for any more; as many with bodies that come."""
BUSY_SECONDS: Final = 5
_DROPPED: Final = (
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"server",
    b"date",
    b"x-request-id",
)
"""Headers that are the server's to set."""
UNFORESEEN: Final = "something went wrong here; it was logged under this request's id"
_log = logging.getLogger(__name__)


class Host:
    """The thread of one plugin's routes; it starts with the first request."""

    def __init__(self, plugin: str, *, patience: float) -> None:
        """`patience`: seconds that an answer, or the next piece of it, may take."""
        self.plugin = plugin
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._under_way = {"whole": 0, "coming": 0}  # clients that send slowly hold up no others

    async def ask(
        self,
        name: str,
        application: Application,
        scope: Message,
        body: bytes | AsyncIterator[bytes],
        *,
        patience: float | None = None,
    ) -> Answer:
        """Have a request answered; `name` is the route's, for the log. Raises `Problem`.

        A body that comes in pieces is asked for them as the route reads; `patience`, in place of the host's, begins
        anew with each of them, and says nothing of how long a client takes.
        """
        body_is = "whole" if isinstance(body, bytes) else "coming"
        if self._under_way[body_is] >= AT_ONCE:
            raise Problem(
                "busy",
                "as many requests of this kind are under way as there may be at a time",
                headers={"retry-after": str(BUSY_SECONDS)},
            )
        self._under_way[body_is] += 1
        here = asyncio.get_running_loop()
        patience = self._patience if patience is None else patience
        request = _Request(self.plugin, name, application, scope, body, here, partial(self._ended, body_is))
        there = self._started()
        # Called so that what the request logs there is known to be of it.
        there.call_soon_threadsafe(request.start)
        try:
            async with asyncio.timeout(patience) as limit:
                request.limit, request.patience = limit, patience
                return await request.answer
        except TimeoutError:
            _log.error("plugin %s: %s did not answer within %g s", self.plugin, name, patience)
            raise Problem(
                "timeout",
                "this took longer than a request may take",
                headers={"retry-after": str(BUSY_SECONDS)},
            ) from None
        finally:
            if not request.answer.done() or request.answer.cancelled():
                there.call_soon_threadsafe(request.cancel)

    def close(self) -> None:
        """End the thread; what hangs there ends with the process."""
        if self._loop is not None and self._process == os.getpid():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _ended(self, body_is: str) -> None:
        self._under_way[body_is] -= 1

    def _started(self) -> asyncio.AbstractEventLoop:
        # A thread doesn't survive a fork.
        if self._loop is None or self._process != os.getpid():
            loop = asyncio.new_event_loop()
            self._loop, self._process = loop, os.getpid()
            name = f"dotpeen-routes-{self.plugin}"
            threading.Thread(target=_run, args=(loop,), name=name, daemon=True).start()
        return self._loop


def failed(plugin: str, name: str, error: BaseException) -> None:
    """Log that a plugin's route raised something."""
    _log.error("plugin %s: %s failed: %s", plugin, name, type(error).__name__, exc_info=error)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Request:
    """One request, between the loop that it came in by and the plugin's."""

    def __init__(
        self,
        plugin: str,
        name: str,
        application: Application,
        scope: Message,
        body: bytes | AsyncIterator[bytes],
        here: asyncio.AbstractEventLoop,
        ended: Callable[[], None],
    ) -> None:
        self.answer: asyncio.Future[Answer] = here.create_future()
        self._plugin = plugin
        self._name = name
        self._application = application
        self._scope = scope
        self._body = body
        self._here = here
        self._ended = ended
        self._status = 500
        self._headers: list[Header] = []
        self._stream: Stream | None = None
        self._complete = False
        self._read = False
        self.limit: asyncio.Timeout | None = None
        self.patience = 0.0
        # anyio's scope leaves a thread that a route waits for alone, and counts it until it comes back.
        self._cancelling = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None
        self._made = Stream(on_close=self.cancel_from_elsewhere)

    def start(self) -> None:
        """Begin; on the plugin's loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    def cancel(self) -> None:
        """Nobody waits any more; on the plugin's loop."""
        self._cancelling.cancel()

    def cancel_from_elsewhere(self) -> None:
        """The same, in any thread."""
        if self._task is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._task.get_loop().call_soon_threadsafe(self.cancel)

    async def _work(self) -> None:
        try:
            with self._cancelling:
                await self._application(self._scope, self._receive, self._send)
            if not self._complete:
                raise RuntimeError("the route ended without an answer")
        except Exception as error:
            await self._failed(error)
        finally:
            with suppress(RuntimeError):
                self._here.call_soon_threadsafe(self._ended)

    async def _receive(self) -> Message:
        if not self._read and isinstance(self._body, bytes):
            self._read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if not self._read:
            asking = asyncio.run_coroutine_threadsafe(self._piece(self._body), self._here)  # type: ignore[arg-type]
            piece = await asyncio.wrap_future(asking)
            self._read = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
        while not self._made.closed:
            await asyncio.sleep(1)
        return {"type": "http.disconnect"}

    async def _piece(self, body: AsyncIterator[bytes]) -> bytes | None:
        """The next piece of the body, None at its end; on the loop that the request came in by."""
        limit = self.limit if self.limit is not None and not self.answer.done() else None
        if limit is not None:
            limit.reschedule(None)
        try:
            return await anext(body, None)
        except Problem as problem:
            if not self.answer.done():
                self.answer.set_exception(problem)
                self.answer.exception()
            raise
        finally:
            if limit is not None and not limit.expired() and not self.answer.done():
                limit.reschedule(asyncio.get_running_loop().time() + self.patience)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (bytes(name).lower(), bytes(value))
                for name, value in message.get("headers", ())
                if bytes(name).lower() not in _DROPPED
            ]
            return
        if message["type"] != "http.response.body":
            return
        piece, more = bytes(message.get("body", b"")), bool(message.get("more_body", False))
        if self._stream is None:
            if not more:
                self._complete = True
                self._tell(Answer(self._status, piece, self._headers))
                return
            self._stream = self._made
            self._tell(Answer(self._status, b"", self._headers, stream=self._stream))
        if piece:
            await self._stream.put_from(piece)
        if not more:
            self._complete = True
            await self._stream.put_from(None)

    async def _failed(self, error: Exception) -> None:
        if isinstance(error, Problem):
            self._tell(error)
            return
        if self._complete or self._cancelling.cancel_called:
            return  # FastAPI raises again what it has answered
        failed(self._plugin, self._name, error)
        if self._stream is not None:
            await self._stream.put_from(error)
            return
        self._tell(Problem("internal-error", UNFORESEEN))

    def _tell(self, found: Answer | Problem) -> None:
        def settle() -> None:
            if self.answer.done():
                return
            if isinstance(found, Problem):
                self.answer.set_exception(found)
                self.answer.exception()
            else:
                self.answer.set_result(found)

        with suppress(RuntimeError):
            self._here.call_soon_threadsafe(settle)
