"""Every error Dotpeen raises on purpose: one small hierarchy, messages written for the person who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DotpeenError(Exception):
    """Root of all errors of Dotpeen; `exit_code` is what a command ends with.

    `hint` says what to do next and is printed below the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(DotpeenError):
    """The registry, an option or the environment is wrong; nothing was done."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file: where, what, and what to do."""

    key: str
    message: str
    line: int | None = None
    hint: str | None = None


class RegistryError(ConfigurationError):
    """`registry.toml` can't be used; carries every problem found, not only the first."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = []
        for problem in self.problems:
            place = file if problem.line is None else f"{file}:{problem.line}"
            text = (
                f"{place}: {problem.key}: {problem.message}" if problem.key else f"{place}: {problem.message}"
            )
            lines.append(text if problem.hint is None else f"{text} ({problem.hint})")
        super().__init__("\n".join(lines))


class DatabaseUnreachableError(ConfigurationError):
    """No connection to the database could be made."""


class PreflightError(DotpeenError):
    """The database is not in a state that the migration can start from; nothing was changed."""

    exit_code = 1


class LockNotObtainedError(DotpeenError):
    """A table lock could not be had within the patience configured; names who held it."""

    def __init__(self, table: str, blockers: Sequence[str], waited: float) -> None:
        self.table = table
        self.blockers = tuple(blockers)
        who = "; ".join(blockers) or "a session that ended before it could be named"
        super().__init__(
            f"{table}: no lock after {waited:.0f} s of short attempts; blocked by {who}",
            hint="end the blocking session or try again when it is done; the migration resumes where it stopped",
        )


class MigrationStoppedError(DotpeenError):
    """The migration ended before it was done, on request; it can be resumed."""


class BackfillError(DotpeenError):
    """Rows remain that could not be given a UUID."""


class IssuedUuidError(DotpeenError):
    """Something tried to change or lose a UUID that was already issued."""


class PluginError(DotpeenError):
    """A plugin failed; names the plugin and the call."""

    def __init__(self, plugin: str, message: str, *, hint: str | None = None) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin}: {message}", hint=hint)


class UnknownPluginError(PluginError, ConfigurationError):
    """The registry names a plugin that is not installed."""

    exit_code = 2
