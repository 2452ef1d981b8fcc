"""What is wrong in an exchange structure, and where."""

from __future__ import annotations

from dotpeen.errors import DotpeenError


class Part21Error(DotpeenError):
    """A file is no ISO 10303-21 exchange structure that can be read.

    `byte` is the offset of what is wrong from the start of the file, counted from 0; `line` is counted from 1.
    Both are None where the file as a whole is meant. `reason` is the message without the place.
    """

    exit_code = 2

    def __init__(
        self,
        file: str,
        reason: str,
        *,
        line: int | None = None,
        byte: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.file = file
        self.reason = reason
        self.line = line
        self.byte = byte
        place = file if line is None else f"{file}:{line}"
        where = "" if byte is None else f" (byte {byte})"
        super().__init__(f"{place}: {reason}{where}", hint=hint)


class Part21FileError(Part21Error):
    """A file is not there, can't be opened, or isn't one."""


class Part21LimitError(Part21Error):
    """Something in a file is larger or deeper than what is read (`dotpeen_step.part21.limits`)."""
