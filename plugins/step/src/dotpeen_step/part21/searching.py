"""Search a file for instances without checking what lies between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dotpeen_step.part21 import grammar, limits
from dotpeen_step.part21.errors import Part21LimitError
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.lexing import Form, SyntaxProblem, lex
from dotpeen_step.part21.masking import last_end, masked
from dotpeen_step.part21.opening import data_parameters
from dotpeen_step.part21.sections import DataSection
from dotpeen_step.part21.selection import Selection
from dotpeen_step.part21.source import Source
from dotpeen_step.part21.window import Window

BLOCK: Final = 256 * 1024

_SECTIONS: Final = (b"ANCHOR", b"REFERENCE", b"DATA")
_ENDSEC: Final = re.compile(rb"(?<![A-Za-z0-9_.!])(ENDSEC)[\x00-\x20]*+;")
_ANY_NAME: Final = re.compile(rb"#([0-9]{1,18})")
_SAMPLE: Final = 64 * 1024
_MOST: Final = 1_000_000
_OVERLAP: Final = 64


def segments(
    source: Source, start: int, end: int, *, block: int = BLOCK
) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Yield pieces of the file: offset, text, masked text, and how much of them is whole statements.

    `start` is between two statements. What follows the last semicolon is left out.
    """
    position = start
    length = block
    while position < end:
        text = source.read(position, min(length, end - position))
        work = masked(text)
        cut = last_end(work)
        if cut:
            yield position, text, work, cut
            position += cut
            length = block
        elif position + length >= end or not text:
            return
        elif length > limits.STATEMENT:
            reason = f"no end within {limits.STATEMENT // 1024**2} MiB"
            raise source.error(position, reason, kind=Part21LimitError)
        else:
            length *= 2


def search(
    source: Source, start: int, end: int, selection: Selection, *, block: int = BLOCK
) -> Iterator[Instance]:
    """Yield what the selection finds between two places that are each between statements."""
    for offset, text, work, cut in segments(source, start, end, block=block):
        if selection.possible(work):
            for begin, stop, number, keyword in selection.found(work, 0, cut):
                yield Instance(number, offset + begin, keyword.decode("ascii").upper(), text[begin:stop])


def checked(source: Source, instance: Instance) -> Instance:
    """Return an instance that was found by searching. Raises `Part21Error` where it is wrong."""
    head = grammar.HEAD.match(instance.raw)
    if head is None or len(head[2].lstrip(b"0")) > limits.NAME_DIGITS:
        reason = f"an instance name with more than {limits.NAME_DIGITS} digits"
        raise source.error(instance.offset, reason, kind=Part21LimitError)
    if grammar.INSTANCE.fullmatch(instance.raw) is None:
        try:
            lex(instance.raw, 0, Form.INSTANCE, complete=True)
        except SyntaxProblem as problem:
            raise source.error(
                instance.offset + problem.position, problem.reason, kind=problem.kind
            ) from None
    return instance


def find_sections(source: Source, start: int, *, block: int = BLOCK) -> Iterator[DataSection]:
    """Yield the data sections behind `start`, which is behind the header, found by ENDSEC alone.

    Raises `Part21Error` where what stands between two sections opens none.
    """
    closings = _closings(source, start, block=block)
    position = start
    while True:
        window = Window(source, position)
        word = window.peek()
        if word not in _SECTIONS:
            return
        window.blanks()
        begun = window.offset
        name, schemas = data_parameters(window) if word == b"DATA" else ("", ())
        inside = window.offset
        closing, position = next((found for found in closings if found[0] >= inside), (0, 0))
        if not position:
            raise source.error(
                begun, f"{word.decode('ascii')} has no ENDSEC;", hint="the file may be cut off"
            )
        if word == b"DATA":
            yield DataSection(begun, inside, closing, position, name, schemas)


def _closings(source: Source, start: int, *, block: int) -> Iterator[tuple[int, int]]:
    for offset, _, work, cut in segments(source, start, source.size, block=block):
        if b"ENDSEC" in work:
            outside = 0
            for found in _ENDSEC.finditer(work, 0, cut):
                if not work.count(b"'", outside, found.start()) & 1:
                    outside = found.start()
                    yield offset + found.start(1), offset + found.end()


def unused_names(source: Source, start: int, count: int, *, block: int = BLOCK) -> list[int]:
    """Return `count` consecutive instance names that don't stand anywhere behind `start`.

    They are the first of a power of ten: no file is read to its end to learn its greatest name. Raises
    `ValueError` for more than a million.
    """
    if not 0 < count <= _MOST:
        raise ValueError(f"1 to {_MOST} names at a time")
    digits = max(_sampled(source, start), len(str(count)))
    while True:
        first = 10**digits
        if not _named(source, start, b"%d" % first, len(str(count - 1)), block=block):
            return list(range(first, first + count))
        digits += 1


def _sampled(source: Source, start: int) -> int:
    """Return the digits of the greatest name near the beginning and near the end."""
    ends = source.read(start, _SAMPLE), source.read(max(start, source.size - _SAMPLE), _SAMPLE)
    return max((len(name.lstrip(b"0")) for text in ends for name in _ANY_NAME.findall(text)), default=1)


def _named(source: Source, start: int, first: bytes, varying: int, *, block: int) -> bool:
    """Tell whether a name stands in the file that differs from `first` in the last digits, or may stand there."""
    prefix = first[: len(first) - varying]
    whole = re.compile(rb"%s[0-9]{%d}(?![0-9])" % (prefix, varying))
    rest = b""
    for position in range(start, source.size, block):
        text = rest + source.read(position, block)
        place = text.find(prefix)
        while place >= 0:
            if whole.match(text, place) and _begins_name(text, place):
                return True
            place = text.find(prefix, place + 1)
        rest = text[-_OVERLAP:]
    return False


def _begins_name(text: bytes, place: int) -> bool:
    """Tell whether digits are those of an instance name, which may have zeros before them."""
    while place > 0 and text[place - 1] == 0x30:
        place -= 1
    return text[place - 1 : place] == b"#"
