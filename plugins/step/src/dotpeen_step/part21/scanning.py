"""A complete pass over an exchange structure: every byte of every section is looked at, in file order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dotpeen_step.part21 import bulk, grammar, limits
from dotpeen_step.part21.anchors import read_anchor, read_external
from dotpeen_step.part21.errors import Part21Error, Part21LimitError
from dotpeen_step.part21.header import Header
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.lexing import Form
from dotpeen_step.part21.names import Names
from dotpeen_step.part21.opening import data_parameters
from dotpeen_step.part21.searching import search
from dotpeen_step.part21.sections import DataSection, Section
from dotpeen_step.part21.selection import ByName, Selection
from dotpeen_step.part21.source import Source
from dotpeen_step.part21.window import BLOCK, Window

_CLOSING: Final = b"END-ISO-10303-21"


@dataclass(slots=True)
class Layout:
    """Where the sections are; `capitals` says that all keywords are written in capitals."""

    anchors: Section | None = None
    references: Section | None = None
    data: list[DataSection] = field(default_factory=list)
    capitals: bool = True


class Pass:
    """One pass from behind the header to the end of the file; `names` takes up the instance names, once."""

    def __init__(self, source: Source, header: Header, names: Names | None, *, block: int = BLOCK) -> None:
        self.layout = Layout()
        self._names = names
        self._source = source
        self._window = Window(source, header.end, block=block)

    def instances(self, keywords: frozenset[str] | None, selection: Selection) -> Iterator[Instance]:
        """Yield instances with one of the keywords, all with None. Raises `Part21Error` where the file is wrong."""
        window, layout = self._window, self.layout
        while (word := window.peek()) != _CLOSING:
            if word == b"DATA":
                yield from self._data(keywords, selection)
            elif word == b"ANCHOR" and not (layout.anchors or layout.references or layout.data):
                layout.anchors = self._section("ANCHOR", self._anchor)
            elif word == b"REFERENCE" and not (layout.references or layout.data):
                layout.references = self._section("REFERENCE", self._external)
            else:
                raise self._no_section()
        window.open("END-ISO-10303-21")
        self._signatures()

    def _no_section(self) -> Part21Error:
        window = self._window
        window.blanks()
        if window.position >= len(window.text):
            return window.error("expected END-ISO-10303-21;", hint="the file may be cut off")
        return window.error("expected a section or END-ISO-10303-21;")

    def _section(self, word: str, read: Callable[[], None]) -> Section:
        begun, inside = self._window.open(word)
        while self._window.peek() != b"ENDSEC":
            read()
        return Section(begun, inside, *self._window.close())

    def _anchor(self) -> None:
        read_anchor(self._window)

    def _external(self) -> None:
        external = read_external(self._window)
        if external.id is not None:
            self._register([external.id], external.offset, external.end)

    def _data(self, keywords: frozenset[str] | None, selection: Selection) -> Iterator[Instance]:
        window = self._window
        if len(self.layout.data) >= limits.DATA_SECTIONS:
            raise window.error(f"more than {limits.DATA_SECTIONS} data sections", kind=Part21LimitError)
        window.blanks()
        begun = window.offset
        name, schemas = data_parameters(window)
        inside = window.offset
        while True:
            for instance in self._run(selection):
                if instance.keyword or keywords is None or not keywords.isdisjoint(instance.keywords):
                    yield instance
            if window.peek() == b"ENDSEC":
                break
            instance = self._one()
            if keywords is None or not keywords.isdisjoint(instance.keywords):
                yield instance
        self.layout.data.append(DataSection(begun, inside, *window.close(), name, schemas))

    def _run(self, selection: Selection) -> Iterator[Instance]:
        """Take the instances that are right at a glance, and yield those that the selection finds."""
        window = self._window
        run = window.run()
        if run.start == run.end:
            return
        text, base = window.text, window.base
        if self._names is not None:
            try:
                numbers = bulk.numbers(run.text, run.start, run.end)
            except ValueError:  # a name of thousands of digits
                numbers = [limits.NAME + 1]
            if max(numbers) > limits.NAME:
                window.position = run.shift + run.start  # once more, one by one, for the message
                return
            offset = base + run.shift
            self._register(numbers, offset + run.start, offset + run.end)
        for begin, stop, number, keyword in selection.found(run.text, run.start, run.end):
            raw = text[run.shift + begin : run.shift + stop]
            yield Instance(number, base + run.shift + begin, keyword.decode("ascii"), raw)

    def _one(self) -> Instance:
        """Take one instance, whatever it has in it."""
        window = self._window
        found = window.take(grammar.INSTANCE, Form.INSTANCE, head=grammar.HEAD)
        offset = window.base + found.start(1)
        if len(found[2].lstrip(b"0")) > limits.NAME_DIGITS:
            reason = f"an instance name with more than {limits.NAME_DIGITS} digits"
            raise self._source.error(offset, reason, kind=Part21LimitError)
        number = int(found[2][-limits.NAME_DIGITS :])
        self._register([number], offset, window.offset)
        raw = window.text[found.start(1) : window.position]
        keyword = (found[3] or b"").decode("ascii")
        if keyword != keyword.upper():
            self.layout.capitals = False
        return Instance(number, offset, keyword.upper(), raw)

    def _register(self, numbers: list[int], start: int, end: int) -> None:
        if self._names is None or self._names.add(numbers, start):
            return
        name = self._names.repeated(numbers, start)
        places = self._names.regions([name]) or {(start, end): {name}}
        offsets = [
            instance.offset
            for begin, stop in sorted(places)
            for instance in search(self._source, begin, min(stop or end, end), ByName([name]))
        ]
        first, second = (offsets[0], offsets[-1]) if len(offsets) > 1 else (None, start)
        before = "" if first is None else f": the first is in line {self._source.line(first)}"
        raise self._source.error(second, f"#{name} is there a second time{before}")

    def _signatures(self) -> None:
        """Pass over signature sections and blanks behind the end; anything else there is an error."""
        window = self._window
        while window.peek() == b"SIGNATURE":
            if not window.skip_to(grammar.SIGNATURE_END):
                raise window.error("a signature section without ENDSEC;")
        window.skip(grammar.MARKS)
        if window.position < len(window.text):
            raise window.error("nothing but signatures may follow END-ISO-10303-21;")
