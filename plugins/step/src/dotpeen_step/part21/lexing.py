"""One statement read token by token: what the regular expressions don't match is nested deep, cut off or wrong.

Slower by far than the expressions of `dotpeen_step.part21.grammar`, and knows where and why a statement is wrong.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from dotpeen_step.part21 import grammar, limits
from dotpeen_step.part21.errors import Part21Error, Part21LimitError

_ATOMS: Final = frozenset(
    {"name", "number", "string", "enumeration", "absent", "binary", "resource", "other"}
)
_LOOKAHEAD: Final = 4096  # bytes within which what is wrong at the end of a text may still become right
_OPEN_ENUMERATION: Final = re.compile(rb"\.[A-Za-z_][A-Za-z0-9_]*+\Z")
_SHOWN: Final = 40
_UNCLOSED: Final = {b"'": "a string", b'"': "a binary", b"<": "a resource"}
_INSIDE: Final = {b'"': grammar.BINARY_INSIDE, b"<": grammar.RESOURCE_INSIDE}


class Form(Enum):
    """Which statement is expected, as messages name it."""

    INSTANCE = "an instance"
    HEADER = "a header entity"
    ANCHOR = "an anchor"
    EXTERNAL = "a reference"


class IncompleteError(Exception):
    """The text ends before the statement does."""


class SyntaxProblem(Exception):  # noqa: N818
    """A statement is wrong at `position` of the text."""

    def __init__(
        self, position: int, reason: str, *, hint: str | None = None, kind: type[Part21Error] = Part21Error
    ) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason
        self.hint = hint
        self.kind = kind


def lex(text: bytes, position: int, form: Form, *, complete: bool) -> int:
    """Return where the statement at `position` ends; blanks before it are passed over.

    Raises `SyntaxProblem` where it is wrong, `IncompleteError` where more text may make it right: with
    `complete` there is no more.
    """
    try:
        return _Lexer(text, position, complete=complete).statement(form)
    except SyntaxProblem as problem:
        if not complete and problem.position > len(text) - _LOOKAHEAD:
            raise IncompleteError from None
        raise


class _Lexer:
    def __init__(self, text: bytes, position: int, *, complete: bool) -> None:
        self._text = text
        self._complete = complete
        self._next = position
        self._at = position
        self._kind = ""
        self._token = b""

    def statement(self, form: Form) -> int:
        self._advance()
        if form is Form.HEADER:
            self._part()
        else:
            self._require("name" if form is Form.INSTANCE else "", form)
            self._expect(b"=")
            self._right_side(form)
        if self._token != b";":
            raise self._unexpected("a semicolon")
        return self._next

    def _require(self, kind: str, form: Form) -> None:
        wanted = {Form.ANCHOR: {"resource"}, Form.EXTERNAL: {"name", "other"}}.get(form, {kind})
        if self._kind not in wanted:
            raise self._unexpected(f"{form.value} or ENDSEC;")
        self._advance()

    def _right_side(self, form: Form) -> None:
        if form is Form.EXTERNAL:
            if self._kind != "resource":
                raise self._unexpected("a resource in <>")
            self._advance()
        elif form is Form.ANCHOR:
            self._item()
            while self._token == b"{":
                self._advance()
                self._tag()
        elif self._token == b"(":
            self._advance()
            self._part()
            while self._token != b")":
                self._part()
            self._advance()
        else:
            self._part()

    def _tag(self) -> None:
        if self._kind != "keyword":
            raise self._unexpected("the name of a tag")
        self._advance()
        self._expect(b":")
        self._item()
        self._expect(b"}")

    def _part(self) -> None:
        if self._kind != "keyword":
            raise self._unexpected("a keyword")
        self._advance()
        self._list()

    def _item(self) -> None:
        if self._kind in _ATOMS:
            self._advance()
        elif self._kind == "keyword":
            self._part()
        else:
            self._list()

    def _list(self) -> None:
        """Pass over a list and the lists within it, counting: input decides on the depth, so no recursion."""
        self._expect(b"(")
        depth = 1
        first = True
        while depth:
            if first and self._token == b")":
                pass
            elif self._kind in _ATOMS:
                self._advance()
            else:
                if self._kind == "keyword":
                    self._advance()
                    if self._token != b"(":
                        raise self._unexpected("a list after the keyword")
                if self._token != b"(":
                    raise self._unexpected("a parameter")
                depth += 1
                if depth > limits.DEPTH:
                    raise SyntaxProblem(
                        self._at, f"more than {limits.DEPTH} lists within each other", kind=Part21LimitError
                    )
                self._advance()
                first = True
                continue
            first = False
            while depth and self._token == b")":
                depth -= 1
                self._advance()
            if depth:
                if self._token != b",":
                    raise self._unexpected("a comma or ) after a parameter")
                self._advance()

    def _expect(self, mark: bytes) -> None:
        if self._token != mark:
            raise self._unexpected(mark.decode("ascii"))
        self._advance()

    def _unexpected(self, wanted: str) -> SyntaxProblem:
        return SyntaxProblem(self._at, f"expected {wanted}, found {shown(self._text[self._at : self._next])}")

    def _advance(self) -> None:
        blanks = grammar.BLANKS.match(self._text, self._next)
        self._at = blanks.end() if blanks else self._next
        token = grammar.TOKEN.match(self._text, self._at)
        if token is None or (token.end() == len(self._text) and not self._complete and token[0] != b";"):
            raise self._no_token()
        self._kind = token.lastgroup or ""
        self._token = token[0] if self._kind == "mark" else b""
        self._next = token.end()

    def _no_token(self) -> Exception:
        problem, final = self._problem()
        if not self._complete and not final:
            return IncompleteError()
        return problem

    def _problem(self) -> tuple[SyntaxProblem, bool]:
        """Say why no token begins here, and whether that is so whatever follows."""
        text, at = self._text, self._at
        first = text[at : at + 1]
        if not first:
            reason = "the file ends in the middle of a statement"
            return SyntaxProblem(at, reason, hint="the file may be cut off"), False
        if text.startswith(b"/*", at):
            return SyntaxProblem(at, "a comment has no end: there is no */ behind it"), False
        if first in _UNCLOSED:
            inside = _INSIDE[first].match(text, at + 1) if first in _INSIDE else None
            reached = inside.end() if inside else len(text)
            if reached == len(text):
                return SyntaxProblem(at, f"{_UNCLOSED[first]} has no end"), False
            wrong = shown(text[reached : reached + 1])
            return SyntaxProblem(reached, f"{wrong} can't stand in {_UNCLOSED[first]}"), True
        cut_off = _OPEN_ENUMERATION.match(text, at) is not None
        return SyntaxProblem(at, f"{shown(first)} can't stand here"), not cut_off


def shown(text: bytes) -> str:
    """Return bytes of a file as messages show them: short, printable, in quotation marks."""
    if not text:
        return "the end of the file"
    cut = text[:_SHOWN].decode("latin-1")
    return ascii(cut) + ("…" if len(text) > _SHOWN else "")
