"""`Part21File`: an exchange structure on disk or in memory, read without keeping it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from dotpeen_step.part21.anchors import Anchor, External, read_anchor, read_external
from dotpeen_step.part21.header import Header
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.names import Names
from dotpeen_step.part21.opening import start
from dotpeen_step.part21.scanning import Layout, Pass
from dotpeen_step.part21.searching import checked, find_sections, search, unused_names
from dotpeen_step.part21.sections import DataSection, Section
from dotpeen_step.part21.selection import ByKeyword, ByName, Everything, InOrder, Selection
from dotpeen_step.part21.source import Source
from dotpeen_step.part21.window import BLOCK, Window

T = TypeVar("T")

_LINE_ENDS: Final = 64 * 1024


class Part21File:
    """An exchange structure (ISO 10303-21 editions 1 to 3), by `open` or `from_bytes`; a context manager.

    Opening reads the header. Everything else is read when it is asked for and not kept, so that memory does not
    grow with the file. All methods raise `Part21Error` where the file is wrong, naming line and byte.
    """

    def __init__(self, source: Source, *, block: int = BLOCK) -> None:
        self._source = source
        self._block = block
        self._names: Names | None = None
        self._layout: Layout | None = None
        try:
            self._header = start(source, block=block)
        except BaseException:
            source.close()
            raise

    @classmethod
    def open(cls, path: Path | str, *, block: int = BLOCK) -> Part21File:
        """Open a file and read its header; a byte-order mark before it is accepted."""
        return cls(Source.of_file(Path(path)), block=block)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "<bytes>", *, block: int = BLOCK) -> Part21File:
        """Read from memory; `name` stands in messages."""
        return cls(Source(name, len(data), data=data), block=block)

    def __enter__(self) -> Part21File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._forget()
        self._source.close()

    @property
    def name(self) -> str:
        """The path as it was given."""
        return self._source.name

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    @property
    def header(self) -> Header:
        """The header section."""
        return self._header

    @property
    def newline(self) -> bytes:
        """What ends the file's first line; LF where nothing does."""
        text = self._source.read(0, _LINE_ENDS)
        for place, byte in enumerate(text):
            if byte == 0x0A:
                return b"\n"
            if byte == 0x0D:
                return b"\r\n" if text[place + 1 : place + 2] == b"\n" else b"\r"
        return b"\n"

    def read(self, position: int, length: int) -> bytes:
        """Return the bytes at `position`: `length` of them, or fewer at the end of the file."""
        return self._source.read(position, length)

    def check_unchanged(self) -> None:
        """Raise `Part21FileError` where the file was written to since it was opened."""
        self._source.check_unchanged()

    def line(self, byte: int) -> int:
        """Return the line that a byte is in, counted from 1."""
        return self._source.line(byte)

    @property
    def anchor_section(self) -> Section | None:
        """Where the anchor section is; None where there is none."""
        window = Window(self._source, self._header.end, block=self._block)
        return _passed(window, b"ANCHOR", read_anchor)

    @property
    def anchors(self) -> Iterator[Anchor]:
        """The anchors of the anchor section, read as they are asked for."""
        window = Window(self._source, self._header.end, block=self._block)
        return _statements(window, b"ANCHOR", read_anchor)

    @property
    def references(self) -> Iterator[External]:
        """The entries of the reference section, read as they are asked for."""
        window = Window(self._source, self._header.end, block=self._block)
        _passed(window, b"ANCHOR", read_anchor)
        return _statements(window, b"REFERENCE", read_external)

    @property
    def data_sections(self) -> tuple[DataSection, ...]:
        """The data sections; looked for without checking what is in them where no pass was made yet."""
        if self._layout is not None:
            return tuple(self._layout.data)
        return tuple(find_sections(self._source, self._header.end))

    def scan(self) -> Iterator[Instance]:
        """Yield every instance in file order, and check everything on the way, duplicate names included."""
        return self._pass(None, Everything())

    def instances(self, keywords: frozenset[str]) -> Iterator[Instance]:
        """Yield the instances with one of these keywords (in capitals), complex ones by any part's.

        Checks the whole file as `scan` does, the first time; when a pass has come to its end, later calls do
        not check again, which is several times faster.
        """
        if self._layout is not None and self._layout.capitals:
            return self._selected(keywords)
        return self._pass(keywords, ByKeyword(keywords))

    def _pass(self, keywords: frozenset[str] | None, selection: Selection) -> Iterator[Instance]:
        names = Names(file=self.name) if self._names is None else None
        run = Pass(self._source, self._header, names, block=self._block)
        try:
            yield from run.instances(keywords, selection)
        except BaseException:
            if names is not None:
                names.close()
            raise
        self._layout = run.layout
        if names is not None:
            self._forget()
            self._names = names

    def _selected(self, keywords: frozenset[str]) -> Iterator[Instance]:
        for instance in search(self._source, self._header.end, self.size, ByKeyword(keywords)):
            if instance.keyword or not keywords.isdisjoint(instance.keywords):
                yield instance

    def _forget(self) -> None:
        if self._names is not None:
            self._names.close()
        self._names = None

    def _known(self) -> Names:
        if self._names is None:
            for _ in self._pass(frozenset(), ByKeyword(frozenset())):
                pass
        if self._names is None:
            raise AssertionError("a pass came to its end without names")
        return self._names

    def fetch(self, ids: Collection[int]) -> dict[int, Instance]:
        """Return instances by their names, in file order; names that no instance has are left out.

        Reads the parts of the file where they are. Makes a complete pass first where none was made yet.
        """
        found: dict[int, Instance] = {}
        for (begin, end), names in sorted(self._known().regions(ids).items()):
            next_ones = InOrder(names)
            there = list(search(self._source, begin, end or self.size, next_ones))
            if next_ones.left:
                there += search(self._source, begin, end or self.size, ByName(next_ones.left))
                there.sort(key=attrgetter("offset"))
            found.update((instance.id, instance) for instance in there)
        return found

    def has(self, ids: Collection[int]) -> set[int]:
        """Return which of these names the file defines, in data sections or in the reference section.

        Makes a complete pass first where none was made yet.
        """
        return self._known().known(ids)

    def find(self, keywords: frozenset[str]) -> Iterator[Instance]:
        """Yield the instances with one of these keywords, in file order, as fast as bytes can be searched.

        They are checked, and nothing between them is. Keywords that the file has in small letters, against the
        standard, are not found.
        """
        return (checked(self._source, instance) for instance in self._selected(keywords))

    def unused_ids(self, count: int) -> list[int]:
        """Return `count` consecutive instance names that the file neither defines nor refers to."""
        return unused_names(self._source, self._header.end, count)


def _statements(window: Window, word: bytes, read: Callable[[Window], T]) -> Iterator[T]:
    """Read the statements of the section at the window's position; none where another section is there."""
    if window.peek() == word:
        window.open(word.decode("ascii"))
        while window.peek() != b"ENDSEC":
            yield read(window)


def _passed(window: Window, word: bytes, read: Callable[[Window], object]) -> Section | None:
    """Move behind the section at the window's position and return where it is."""
    if window.peek() != word:
        return None
    begun, inside = window.open(word.decode("ascii"))
    while window.peek() != b"ENDSEC":
        read(window)
    return Section(begun, inside, *window.close())
