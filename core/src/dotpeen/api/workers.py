"""Several processes that answer on the same sockets: started, watched, started again, and ended together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import Final

import structlog

from dotpeen.api.figures import RESTARTS, Board
from dotpeen.api.listeners import Listener
from dotpeen.errors import DotpeenError

LONGEST_PAUSE: Final = 10.0
"""Seconds before a process is started again that keeps dying as soon as it is."""
_SETTLED: Final = 10.0
"""A process that lived so long did not die of its start."""
_MARGIN: Final = 5.0


@dataclass
class _Worker:
    slot: int
    process: ForkProcess | None = None
    ready: int = -1
    """The reading end of a pipe on which the process says that it answers."""
    answers: bool = False
    started: float = 0.0
    pause: float = 0.0
    due: float = field(default=0.0)


class Workers:
    """The processes of one server. This one answers nothing itself: it has no loop, no pool and no threads."""

    def __init__(
        self,
        count: int,
        run: Callable[[int, Callable[[], None], int], int],
        board: Board,
        listeners: Sequence[Listener],
        *,
        ready: Callable[[], None],
        grace: float,
    ) -> None:
        """`run(slot, ready, parent)` is what a process does, and returns its exit code.

        `ready` is called once all of them answer. They have `grace` seconds to end.
        """
        self._workers = [_Worker(slot) for slot in range(count)]
        self._run = run
        self._board = board
        self._listeners = listeners
        self._ready = ready
        self._grace = grace
        self._restarts = board.supervisor.place((RESTARTS,))
        self._context = multiprocessing.get_context("fork")
        self._signals: list[int] = []
        self._announced = False
        self._log = structlog.get_logger("dotpeen.workers")
        # Its writing end is open in this process alone: when that dies, whatever it died of, the reading end says so.
        self._alive, self._held = os.pipe()

    def run(self) -> int:
        """Return the exit code once all have ended."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.settimeout(0)
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.set_wakeup_fd(waker.fileno())
        try:
            for worker in self._workers:
                self._start(worker)
            while not self._signals:
                self._wait(woken)
                if not self._tend():
                    self._end(woken)
                    return 1
            return self._end(woken)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (woken, waker):
                end.close()

    def _note(self, number: int, frame: object) -> None:
        self._signals.append(number)

    def _start(self, worker: _Worker) -> None:
        reading, writing = os.pipe()
        worker.process = self._context.Process(
            target=self._work, args=(worker.slot, reading, writing), daemon=False
        )
        worker.process.start()
        os.close(writing)
        worker.ready, worker.answers, worker.started = reading, False, time.monotonic()

    def _work(self, slot: int, reading: int, writing: int) -> None:
        # In the new process. The terminal sends SIGINT to all of us; what it means is decided in one place.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(self._held)
        os.close(reading)
        for other in self._workers:
            if other.ready >= 0:
                os.close(other.ready)
        code = 1
        try:
            code = self._run(slot, lambda: _say(writing), self._alive)
        except DotpeenError as error:
            self._log.error("process can't start", slot=slot, error=error.message, hint=error.hint)
        except Exception as error:
            self._log.error("process can't start", slot=slot, exc_info=error)
        sys.exit(code)

    def _wait(self, woken: socket.socket) -> None:
        watched: list[int] = [worker.ready for worker in self._workers if worker.ready >= 0]
        watched += [worker.process.sentinel for worker in self._workers if worker.process is not None]
        pauses = [worker.due - time.monotonic() for worker in self._workers if worker.process is None]
        wait([*watched, woken], max(0.0, min(pauses)) if pauses else None)
        _drain(woken)

    def _tend(self) -> bool:
        """See who answers and who died; False when one died before the server ever answered."""
        for worker in self._workers:
            if worker.ready >= 0 and wait([worker.ready], 0):
                worker.answers = os.read(worker.ready, 1) == b"1"
                os.close(worker.ready)
                worker.ready = -1
            if worker.process is not None and wait([worker.process.sentinel], 0):
                worker.process.join()
                code, worker.process = worker.process.exitcode, None
                self._board.slots[worker.slot].forget_gauges()
                if self._signals:
                    continue
                if not self._announced:
                    return False
                settled = time.monotonic() - worker.started > _SETTLED or worker.answers
                worker.pause = 0.0 if settled else min(max(0.5, worker.pause * 2), LONGEST_PAUSE)
                worker.due = time.monotonic() + worker.pause
                self._log.error(
                    "process died", slot=worker.slot, exitCode=code, again=f"in {worker.pause:g} s"
                )
            if worker.process is None and worker.due <= time.monotonic() and not self._signals:
                self._start(worker)
                self._board.supervisor.cells[self._restarts] += 1
        if not self._announced and all(worker.answers for worker in self._workers):
            self._announced = True
            self._ready()
        return True

    def _end(self, woken: socket.socket) -> int:
        # Held open here, the sockets would go on taking connections that nobody answers.
        for listener in self._listeners:
            listener.close()
        first = len(self._signals)
        for worker in self._workers:
            if worker.process is not None:
                worker.process.terminate()
        end = time.monotonic() + self._grace + _MARGIN
        while alive := [worker.process for worker in self._workers if worker.process is not None]:
            if len(self._signals) > max(first, 1) or time.monotonic() > end:
                for process in alive:
                    process.kill()
            wait([*(process.sentinel for process in alive), woken], 0.2)
            for worker in self._workers:
                if worker.process is not None and not worker.process.is_alive():
                    worker.process.join()
                    worker.process = None
            _drain(woken)
        return 128 + self._signals[-1] if len(self._signals) > max(first, 1) else 0


def _drain(woken: socket.socket) -> None:
    with suppress(BlockingIOError):
        woken.recv(1024)


def _say(writing: int) -> None:
    os.write(writing, b"1")
    os.close(writing)
