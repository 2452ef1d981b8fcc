"""Waiting for foreign code, and for no longer than agreed."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from threading import Lock, Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")
CALL_SECONDS: Final = 5.0
"""The longest that a hook may take."""
IMPORT_SECONDS: Final = 30.0
"""The longest that a plugin's module may take to be imported: a cold disk and a large library behind it."""


class LateError(Exception):
    """Foreign code did not answer in time, or is still busy with what it was asked before."""


class QuitError(Exception):
    """Foreign code raised what ends a program, such as SystemExit."""


class Patience:
    """Calls foreign code in threads of its own.

    A thread can't be ended: one that is late is left alone, and its plugin is called again once it has come back.
    """

    def __init__(self) -> None:
        self._late: dict[str, list[tuple[str, Thread]]] = {}
        self._lock = Lock()

    def wait(self, plugin: str, what: str, call: Callable[[], T], seconds: float) -> T:
        """Return what the call returns. Raises what it raises, `LateError` and `QuitError`.

        `what` names the call in messages.
        """
        busy = self.busy(plugin)
        if busy is not None:
            raise LateError(f"not called: {busy} has not come back yet")
        outcome: list[tuple[Any, BaseException | None]] = []

        def work() -> None:
            try:
                outcome.append((call(), None))
            except BaseException as error:
                outcome.append((None, error))

        name = f"dotpeen-plugin-{plugin}"
        thread = Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True)
        thread.start()
        thread.join(seconds)
        if not outcome:
            with self._lock:
                self._late.setdefault(plugin, []).append((what, thread))
            raise LateError(f"no answer within {seconds:g} s")
        answer, error = outcome[0]
        if error is not None:
            if not isinstance(error, Exception):  # a plugin doesn't end the server
                raise QuitError(f"{type(error).__name__}: {error}") from error
            raise error
        return answer  # type: ignore[no-any-return]

    def busy(self, plugin: str) -> str | None:
        """Return what a plugin was asked and has not come back from."""
        if plugin not in self._late:
            return None
        with self._lock:
            # After a fork the parent's threads count as ended, as they have in the child.
            late = [(what, thread) for what, thread in self._late.pop(plugin, []) if thread.is_alive()]
            if late:
                self._late[plugin] = late
        return late[0][0] if late else None
