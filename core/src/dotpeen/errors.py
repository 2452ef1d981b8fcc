"""Every error Dotpeen raises on purpose: one small hierarchy, messages written for the person who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

AuthenticationReason: TypeAlias = Literal["missing", "malformed", "unknown", "expired", "revoked"]
_AUTHENTICATION: Final[dict[AuthenticationReason, str]] = {
    "missing": "the request has no token",
    "malformed": "the token is not one of Dotpeen's",
    "unknown": "the token is unknown",
    "expired": "the token has expired",
    "revoked": "the token was revoked",
}


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


class RecordNotFoundError(DotpeenError):
    """No record of the entity answers to the identifier. `entity` is empty when every entity was asked."""

    def __init__(self, entity: str, identifier: str) -> None:
        self.entity = entity
        self.identifier = identifier
        super().__init__(f"no {entity or 'record'} {identifier!r}")


class AmbiguousIdentifierError(DotpeenError):
    """Several records answer to one identifier; `candidates` has the field that matched and the UUID of each.

    A record that answers by several fields is there once for each; `records` counts it once.
    """

    def __init__(
        self,
        entity: str,
        identifier: str,
        candidates: Sequence[tuple[str, str | None]],
        *,
        records: int | None = None,
    ) -> None:
        self.entity = entity
        self.identifier = identifier
        self.candidates = tuple(candidates)
        self.records = len(self.candidates) if records is None else records
        named = ", ".join(
            f"{uuid or 'a record without a UUID'} by {field}" for field, uuid in self.candidates
        )
        super().__init__(
            f"{identifier!r} names more than one {entity or 'record'}: {named}",
            hint="ask for one of the UUIDs, or by the field that is meant",
        )


class NotMigratedError(DotpeenError):
    """An entity has no UUIDs (yet, or any more), so nothing can be asked by one; `reason` says why."""

    def __init__(self, entity: str, reason: str) -> None:
        self.entity = entity
        self.reason = reason
        super().__init__(f"{entity} has no UUIDs to ask by: {reason}", hint="see dotpeen migrate status")


class InvalidQueryError(DotpeenError, ValueError):
    """A parameter of a query is wrong; `parameter` names it."""

    exit_code = 2

    def __init__(self, parameter: str, message: str) -> None:
        self.parameter = parameter
        self.reason = message
        super().__init__(f"{parameter}: {message}" if parameter else message)


class InvalidValueError(DotpeenError, ValueError):
    """A value can't be what a field of a record holds; `field` names it, empty when that isn't known."""

    exit_code = 2

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.reason = message
        super().__init__(f"{field}: {message}" if field else message)


class RecordConflictError(DotpeenError):
    """The database refuses a change because of what it holds already; `fields` are those concerned, if known."""

    def __init__(self, entity: str, fields: Sequence[str], message: str) -> None:
        self.entity = entity
        self.fields = tuple(fields)
        self.reason = message
        super().__init__(f"{entity}: {message}")


class RecordChangedError(DotpeenError):
    """A record is no longer what the caller had seen when it asked for the change; nothing was changed."""

    def __init__(self, entity: str, identifier: str) -> None:
        self.entity = entity
        self.identifier = identifier
        super().__init__(f"{entity} {identifier!r} was changed in the meantime", hint="read it again")


class PluginError(DotpeenError):
    """A plugin failed; names the plugin and the call."""

    def __init__(self, plugin: str, message: str, *, hint: str | None = None) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin}: {message}", hint=hint)


class UnknownPluginError(PluginError, ConfigurationError):
    """The registry names a plugin that is not installed."""

    exit_code = 2


class PartnerError(ConfigurationError):
    """A partner's name, token id, scope or rate limit is wrong; nothing was done."""


class PartnerRevokedError(DotpeenError):
    """A revoked partner was asked to change; it stays as it is, for the audit trail."""

    exit_code = 2


class AuthenticationError(DotpeenError):
    """A request brought no token that holds; `reason` says why. It never carries the token."""

    def __init__(self, reason: AuthenticationReason) -> None:
        self.reason: AuthenticationReason = reason
        super().__init__(_AUTHENTICATION[reason])


class ScopeError(DotpeenError):
    """A token holds and doesn't reach this far; `scope` is what would have been needed, or was asked for."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"the token does not allow {scope}", hint="a partner's scopes are set by the site")
