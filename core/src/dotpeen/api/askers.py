"""Who asks for the record with a UUID, and what is asked of the database for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias


class Asker(Protocol):
    """Somebody who wants the record with a UUID."""

    uuid: str
    """In canonical form."""

    def answered(self, body: bytes | None, now: float) -> None:
        """Take the JSON of the record, None where there is none; `now` is Unix time."""

    def refused(self, error: BaseException) -> None:
        """Learn that nobody can tell."""


Group: TypeAlias = list[Asker]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of one entity: a statement that answers with rows of UUID and JSON, its parameters, its errors."""

    statement: str
    parameters: Callable[[Sequence[Asker]], Sequence[bytes]]
    explain: Callable[[BaseException], BaseException]
    """From what the database said to what the client is told."""
    formats: Sequence[int] | None = None
    """Of the parameters, which are text otherwise."""
    alone: tuple[str, Callable[[Asker], Sequence[bytes]]] | None = None
    """A statement that is cheaper when only one asks, and its parameters; the rest is the same."""

    def asking(self, group: Group) -> tuple[str, Sequence[bytes]]:
        """The statement for a group, and its parameters."""
        if len(group) == 1 and self.alone is not None:
            statement, parameters = self.alone
            return statement, parameters(group[0])
        return self.statement, self.parameters(group)


class Waiting:
    """Somebody who awaits the answer."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.body: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def answered(self, body: bytes | None, now: float) -> None:
        """Give it to whoever still waits."""
        if not self.body.done():
            self.body.set_result(body)

    def refused(self, error: BaseException) -> None:
        """Raise it where somebody still waits."""
        if not self.body.done():
            self.body.set_exception(error)
            self.body.exception()  # somebody who gave up waiting leaves nobody to look at it


def uuid_array(askers: Sequence[Asker]) -> list[bytes]:
    """Return the parameter of a statement that takes an array of UUIDs and nothing else."""
    return [f"{{{','.join([asker.uuid for asker in askers])}}}".encode()]
