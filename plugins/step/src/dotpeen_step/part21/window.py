"""A window that moves over a source: what is read and not yet used, statement by statement."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dotpeen_step.part21 import bulk, grammar, limits
from dotpeen_step.part21.errors import Part21Error, Part21LimitError
from dotpeen_step.part21.lexing import Form, IncompleteError, SyntaxProblem, lex, shown
from dotpeen_step.part21.masking import uncommented
from dotpeen_step.part21.source import Source

BLOCK: Final = 256 * 1024
_LEXED: Final = 2 * BLOCK  # within which an error is found before the statement's end is looked for
_AHEAD: Final = 32  # more than the longest word that opens or closes something


class Run(NamedTuple):
    """Instances that follow each other, in `text`, which has no comments and begins at `shift` of the window's."""

    text: bytes
    start: int
    end: int
    shift: int


class Window:
    """Bytes of a source from `base` on; `position` is where the next statement begins, relative to `base`."""

    def __init__(self, source: Source, start: int, *, block: int = BLOCK) -> None:
        self.source = source
        self.text = b""
        self.base = start
        self.position = 0
        self._block = block
        self._plain = self._mapped = b""
        self._run_from = 0

    @property
    def offset(self) -> int:
        """Where the next statement begins in the file."""
        return self.base + self.position

    @property
    def at_end(self) -> bool:
        """Nothing is left to be read behind this window."""
        return self.base + len(self.text) >= self.source.size

    def grow(self) -> None:
        """Drop what is used up and read on: at least a block, and as much as is there already.

        Raises `Part21LimitError` where a statement has no end within the limit.
        """
        rest = self.text[self.position :]
        self.text = self._plain = self._mapped = b""
        self.base += self.position
        self.position = 0
        if len(rest) >= limits.STATEMENT:
            raise self.source.error(
                self.base,
                f"no end within {limits.STATEMENT // 1024**2} MiB",
                hint="an apostrophe, a */ or a semicolon may be missing",
                kind=Part21LimitError,
            )
        more = max(self._block, min(len(rest), limits.STATEMENT - len(rest)))
        self.text = rest + self.source.read(self.base + len(rest), more)

    def run(self) -> Run:
        """Take the instances at the position that are right at a glance; comments among them don't matter."""
        place = self.position - self._run_from
        if not (self._mapped and 0 <= place < len(self._mapped)):
            self._run_from, place = self.position, 0
            self._plain = uncommented(self.text[self.position : self.position + 2 * self._block])
            self._mapped = self._plain.translate(bulk.MAPPED)
        end = bulk.run_end(self._mapped, place)
        self.position = self._run_from + end
        return Run(self._plain, place, end, self._run_from)

    def take(
        self, pattern: re.Pattern[bytes], form: Form, *, head: re.Pattern[bytes] | None = None
    ) -> re.Match[bytes]:
        """Take the statement at the position: return its match, and move behind it.

        Where it is right and nested deeper than `pattern` goes, the match is that of `head`, which has the same
        groups; its end is the window's position. Raises `Part21Error` where the statement is wrong, or too deep
        and there is no `head`.
        """
        while True:
            found = pattern.match(self.text, self.position)
            if found:
                self.position = found.end()
                return found
            end = self._lexed(form)
            if end is None:
                self.grow()
                continue
            found = head.match(self.text, self.position) if head else None
            if found is None:
                reason = f"{form.value} has more than {grammar.NESTED} lists within each other"
                raise self.source.error(self.offset, reason, kind=Part21LimitError)
            self.position = end
            return found

    def _lexed(self, form: Form) -> int | None:
        """Return where the statement ends, None where more text is needed to tell."""
        rest = len(self.text) - self.position
        if rest > _LEXED and not self.at_end and grammar.SKIMMED.match(self.text, self.position) is None:
            return None  # found many times faster than by looking at each token
        try:
            return lex(self.text, self.position, form, complete=self.at_end)
        except IncompleteError:
            return None
        except SyntaxProblem as problem:
            raise self.source.error(
                self.base + problem.position, problem.reason, hint=problem.hint, kind=problem.kind
            ) from None

    def peek(self) -> bytes:
        """Return the word at the position that opens or closes a section, in capitals; empty where none stands."""
        found = self._next(grammar.WORD)
        return found[1].upper() if found else b""

    def skip(self, pattern: re.Pattern[bytes]) -> bool:
        """Move behind what the pattern matches at the position, blanks before it included; False if nothing."""
        found = self._next(pattern)
        if found:
            self.position = found.end()
        return found is not None

    def blanks(self) -> None:
        """Move behind blanks and comments."""
        self.skip(grammar.NOTHING)

    def _next(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Match behind blanks, with enough text that more of it would not match otherwise."""
        while True:
            blanks = grammar.BLANKS.match(self.text, self.position)
            end = blanks.end() if blanks else self.position
            found = pattern.match(self.text, end)
            reach = found.end() if found else end
            if self.at_end or (reach + _AHEAD < len(self.text) and not self.text.startswith(b"/*", end)):
                return found
            self.grow()

    def skip_to(self, pattern: re.Pattern[bytes]) -> bool:
        """Move behind the next match of the pattern, wherever it is; False where there is none."""
        while True:
            found = pattern.search(self.text, self.position)
            if found:
                self.position = found.end()
                return True
            if self.at_end:
                return False
            self.position = max(self.position, len(self.text) - 1024)
            self.grow()

    def semicolon(self, word: str) -> None:
        """Move behind the semicolon that ends a word. Raises `Part21Error` where there is none."""
        if not self.skip(grammar.SEMICOLON):
            raise self.error(f"expected a semicolon after {word}")

    def open(self, word: str) -> tuple[int, int]:
        """Move behind the word that opens a section, and its semicolon; return where it begins and ends."""
        self.blanks()
        begun = self.offset
        self.skip(grammar.WORD)
        self.semicolon(word)
        return begun, self.offset

    def close(self) -> tuple[int, int]:
        """Move behind ENDSEC; and return where it begins and ends in the file."""
        return self.open("ENDSEC")

    def error(
        self, reason: str, *, hint: str | None = None, kind: type[Part21Error] = Part21Error
    ) -> Part21Error:
        """Return the error that names the place behind the blanks at the position, and what stands there."""
        self.blanks()
        found = shown(self.source.read(self.offset, 40))
        return self.source.error(self.offset, f"{reason}, found {found}", hint=hint, kind=kind)
