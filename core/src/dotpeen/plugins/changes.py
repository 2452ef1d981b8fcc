"""Telling plugins of records that were written, beside the writer's way."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import time
from collections.abc import Callable
from threading import Lock, Thread
from typing import Any, Final, NamedTuple

from dotpeen.registry import Entity

_log = logging.getLogger(__name__)
_LONGEST: Final = 10_000
"""Changes that wait; a plugin that is slower than the writers for so long is told nothing of the next."""
_END_SECONDS: Final = 5.0
"""How long the end of the process waits for those under way."""


class Change(NamedTuple):
    """One write, as `dotpeen_record_changed` is told of it."""

    entity: Entity
    uuid: str
    operation: str
    fields: tuple[str, ...]


class Changes:
    """Delivers changes one after the other, in their order, in a thread that the first one starts."""

    def __init__(self, deliver: Callable[[Change], Any]) -> None:
        self._deliver = deliver
        self._lock = Lock()
        self._process = 0
        self._full = False

    def put(self, change: Change) -> None:
        """Take a change; returns at once. Drops it, and says so once, where too many wait."""
        with self._lock:
            # Threads don't survive a fork: each of the server's processes has its own.
            if self._process != os.getpid():
                self._start()
        try:
            self._waiting.put_nowait(change)
            self._full = False
        except queue.Full:
            if not self._full:
                _log.warning("plugins are told of changes too slowly: some are left out")
            self._full = True

    def wait(self, seconds: float = _END_SECONDS) -> bool:
        """Wait until all is delivered; False when time was up before."""
        if self._process != os.getpid():
            return True
        until = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)
        return not self._waiting.unfinished_tasks

    def _start(self) -> None:
        self._waiting: queue.Queue[Change] = queue.Queue(_LONGEST)
        self._process = os.getpid()
        Thread(target=self._work, args=(self._waiting,), name="dotpeen-plugin-changes", daemon=True).start()
        atexit.register(self.wait)

    def _work(self, waiting: queue.Queue[Change]) -> None:
        while True:
            change = waiting.get()
            try:
                self._deliver(change)
            except Exception:
                _log.exception("plugins can't be told of a change")
            finally:
                waiting.task_done()
