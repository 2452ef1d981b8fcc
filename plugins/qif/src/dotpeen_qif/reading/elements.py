"""The parts of a document that somebody wants, each as an element of its own; the rest is passed over.

What is wanted is said by a tree of names: `{"Product": {"PartSet": {"Part": found}}}` calls `found` with each
part, complete. The name `*` stands for every element of QIF's namespace that isn't named beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, Union

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits
from dotpeen_qif.model import NAMESPACE
from dotpeen_qif.reading.shapes import Leaf, Shape
from dotpeen_qif.reading.skimming import Learn, Skimmer, Take
from dotpeen_qif.reading.xml import XmlStream, read_chunks

_PREFIX: Final = f"{NAMESPACE} "
ROOT: Final = "QIFDocument"
_BLANKS: Final = " \t\r\n"


class LocalNames(dict[str, str]):
    """Names as expat gives them to names within QIF's namespace; foreign ones have a blank in them."""

    def __missing__(self, name: str) -> str:
        local = name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else f" {name}"
        self[name] = local
        return local


@dataclass(slots=True)
class Element:
    """An element with what is in it; `name` is what `LocalNames` says."""

    name: str
    attributes: Mapping[str, str]
    line: int
    text: str = ""
    """The text before the first child, without blanks around."""
    children: list[Element] = field(default_factory=list)

    def find(self, *path: str) -> Element | None:
        """Return the first element at the path below this one."""
        found: Element | None = self
        for name in path:
            if found is None:
                return None
            found = next((child for child in found.children if child.name == name), None)
        return found

    def all(self, *path: str) -> Iterator[Element]:
        """Yield the elements at the path below this one."""
        first, *rest = path
        for child in self.children:
            if child.name == first:
                if rest:
                    yield from child.all(*rest)
                else:
                    yield child

    def value(self, *path: str) -> str | None:
        """Return the text at the path, None where there is none."""
        found = self.find(*path)
        return (found.text or None) if found is not None else None


Found: TypeAlias = Callable[[Element], None]


@dataclass(frozen=True)
class Within:
    """Elements whose parts are wanted one by one; `opened` gets the element itself, before there is any."""

    parts: Wanted
    opened: Found | None = None
    closed: Callable[[], None] | None = None


FoundFlat: TypeAlias = Callable[[str, Mapping[str, str], int, list[Leaf]], None]


@dataclass(frozen=True)
class Flat:
    """Parts that come by the million: `found` gets name, attributes, line, and what is in it in order of its ends.

    Half the time of making elements. The list is used again for the next part. Without `found` the parts are passed
    over. `learn` may take those that look alike faster: see `dotpeen_qif.reading.skimming`.
    """

    found: FoundFlat | None
    learn: Learn


Wanted: TypeAlias = Mapping[str, Union["Wanted", Within, Flat, Found]]


class ElementReader:
    """Reads a document once and calls the functions of `wanted` in document order.

    With `passing`, `Flat` parts that nobody wants are not even parsed: see `Skimmer`.
    """

    def __init__(
        self, name: str, wanted: Wanted, limits: Limits = DEFAULT_LIMITS, *, passing: bool = False
    ) -> None:
        self._passing = passing
        self.stream = XmlStream(name, limits)
        self._limits = limits
        self._open: list[Within] = [Within({ROOT: wanted})]
        self._depth = 0
        self._count = 0
        self._pieces: list[str] = []
        self._leaves: list[Leaf] = []
        self._local = LocalNames()
        self._call_self()

    def _call_self(self) -> None:
        self._whole = True
        self.stream.call(self._start, self._end, None)

    def read(self, source: Path | BinaryIO) -> Iterator[None]:
        """Read on; yields after each piece of the file, when what was found in it has been reported."""
        skimmer = Skimmer(self.stream, self._is_listing, self._learn, self._skim, passing=self._passing)
        for chunk in read_chunks(source, self._limits):
            skimmer.feed(chunk)
            if len(self._pieces) > 1 and sum(map(len, self._pieces)) > self._limits.text:
                raise self.stream.beyond(f"a text of more than {self._limits.text:,} characters")
            yield
        skimmer.close()
        yield

    def _is_listing(self) -> bool:
        return self._whole and isinstance(self._open[-1].parts.get("*"), Flat)

    def _learn(self, shape: Shape) -> Take | None:
        wanted = self._open[-1].parts["*"]
        return wanted.learn(shape) if isinstance(wanted, Flat) else None

    def _skim(self, _: int, elements: int) -> None:
        self._move_to(self._depth, self._count + elements)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._move_to(self._depth + 1, self._count + 1)
        local = self._local[name]
        if self._depth == 1:
            check_root(self.stream, local, attributes)
        parts = self._open[-1].parts
        wanted = parts.get(local) or (None if " " in local else parts.get("*"))
        if wanted is None:
            self._skip()
        elif isinstance(wanted, Within):
            self._open.append(wanted)
            if wanted.opened is not None:
                wanted.opened(Element(local, attributes, self.stream.line))
        elif isinstance(wanted, Mapping):
            self._open.append(Within(wanted))
        elif isinstance(wanted, Flat):
            if wanted.found is None:
                self._skip()
            else:
                self._flatten(wanted.found, local, attributes)
        else:
            self._collect(wanted, Element(local, attributes, self.stream.line))

    def _end(self, _: str) -> None:
        self._depth -= 1
        closed = self._open.pop().closed
        if closed is not None:
            closed()

    def _move_to(self, depth: int, count: int) -> None:
        self._depth, self._count = depth, count
        if depth > self._limits.depth:
            raise self.stream.beyond(f"elements are nested more than {self._limits.depth} deep")
        if count > self._limits.elements:
            raise self.stream.beyond(f"more than {self._limits.elements:,} elements")

    # The next three run for every element of a document, ten million times in one of a million measurements:
    # closures over plain variables take half the time that methods do.

    def _collect(self, found: Found, record: Element) -> None:
        """Make elements of all that is in `record`, until it ends."""
        stream, pieces, outer, local = self.stream, self._pieces, self._depth, self._local
        open_elements = [record]
        size = 1
        deepest, most = self._limits.depth - outer, self._limits.record

        def start(name: str, attributes: Mapping[str, str]) -> None:
            nonlocal size
            size += 1
            parent = open_elements[-1]
            if len(open_elements) > deepest or size > most:
                self._move_to(outer + len(open_elements), self._count)
                raise stream.beyond(f"a {record.name} of more than {most:,} elements")
            if pieces:
                if not parent.children:
                    parent.text = "".join(pieces).strip(_BLANKS)
                pieces.clear()
            child = Element(local[name], attributes, stream.line)
            parent.children.append(child)
            open_elements.append(child)

        def end(_: str) -> None:
            element = open_elements.pop()
            if pieces:
                if not element.children:
                    element.text = "".join(pieces).strip(_BLANKS)
                pieces.clear()
            if not open_elements:
                self._depth = outer - 1
                self._count += size - 1
                self._call_self()
                found(element)

        pieces.clear()
        self._whole = False
        stream.call(start, end, pieces.append)

    def _flatten(self, found: FoundFlat, part: str, of_part: Mapping[str, str]) -> None:
        """Note all that is in a part, without making elements of it, until it ends."""
        stream, pieces, leaves, outer = self.stream, self._pieces, self._leaves, self._depth
        local = self._local
        line = stream.line
        of_open: list[Mapping[str, str]] = []
        size = 1
        deepest, most = self._limits.depth - outer, self._limits.record

        def start(_: str, attributes: Mapping[str, str]) -> None:
            nonlocal size
            size += 1
            of_open.append(attributes)
            pieces.clear()
            if len(of_open) > deepest or size > most:
                self._move_to(outer + len(of_open), self._count)
                raise stream.beyond(f"a {part} of more than {most:,} elements")

        def end(name: str) -> None:
            if of_open:
                text = "".join(pieces).strip(_BLANKS) if pieces else ""
                pieces.clear()
                leaves.append((len(of_open), local[name], of_open.pop(), text))
            else:
                self._depth = outer - 1
                self._count += size - 1
                self._call_self()
                found(part, of_part, line, leaves)
                leaves.clear()

        pieces.clear()
        self._whole = False
        stream.call(start, end, pieces.append)

    def _skip(self) -> None:
        """Pass over an element and all that is in it, watching its limits only."""
        outer = depth = self._depth
        count = self._count
        deepest, most = self._limits.depth, self._limits.elements

        def start(_: str, __: Mapping[str, str]) -> None:
            nonlocal depth, count
            depth += 1
            count += 1
            if depth > deepest or count > most:
                self._move_to(depth, count)

        def end(_: str) -> None:
            nonlocal depth
            depth -= 1
            if depth < outer:
                self._depth, self._count = depth, count
                self._call_self()

        self._whole = False
        self.stream.call(start, end, None)


def check_root(stream: XmlStream, name: str, attributes: Mapping[str, str]) -> None:
    """Raise `QifDocumentError` unless the root element is that of a QIF 3 document."""
    if name == ROOT:
        return
    space, _, local = name.strip().rpartition(" ")
    if local == ROOT:
        version = attributes.get("versionQIF", "unknown")
        reason = f"not QIF 3.0: namespace {space[:80] or 'none'}, version {version[:20]}"
    else:
        reason = f"not a QIF document: the root element is {local[:80]}"
    raise stream.refuse(reason, hint="QIF 3.0 (ISO 23952:2020) is read")
