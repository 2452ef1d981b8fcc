"""XML as a stream of elements, made safe for files that anybody may have written.

Expat parses; no tree is made. A document type declaration is refused where it begins, before anything in it is
read, so that there are no entities to expand and nothing to fetch. Expat has no access to files or network of
its own. What grows with the file is limited (`dotpeen_qif.limits`).
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias
from xml.parsers import expat

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifFileError, QifLimitError

Started: TypeAlias = Callable[[str, Mapping[str, str]], None]
Ended: TypeAlias = Callable[[str], None]
Texted: TypeAlias = Callable[[str], None]

_CHUNK: Final = 64 * 1024
_PACKED: Final = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CUT_OFF: Final = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
_INVALID: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
_UNDEFINED: Final = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]


def read_chunks(source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[bytes]:
    """Yield the bytes of a file, piece by piece; `source` is read from where it stands when it is open already.

    Raises `QifDocumentError` for what is no file with XML in it, `QifLimitError` when it is too large: at once
    where the size is known, otherwise as soon as that much has been read.
    """
    if not isinstance(source, Path):
        yield from _limited(source, str(getattr(source, "name", "stream")), limits)
        return
    try:
        status = source.stat()  # before it is opened: a pipe would wait for somebody to write
        if not stat.S_ISREG(status.st_mode):
            raise QifFileError(str(source), None, "not a regular file")
        if status.st_size > limits.size:
            raise _too_large(str(source), limits, status.st_size)
        with source.open("rb") as stream:
            yield from _limited(stream, str(source), limits)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise QifFileError(str(source), None, f"can't be read: {reason}") from error


def _limited(stream: BinaryIO, name: str, limits: Limits) -> Iterator[bytes]:
    total = 0
    while chunk := stream.read(_CHUNK):
        if not total:
            _refuse_other_formats(chunk, name)
        total += len(chunk)
        if total > limits.size:
            raise _too_large(name, limits, None)
        yield chunk
    if not total:
        raise QifDocumentError(name, None, "the file is empty")


def _refuse_other_formats(start: bytes, name: str) -> None:
    for magic, packing in _PACKED.items():
        if start.startswith(magic):
            raise QifDocumentError(
                name,
                None,
                f"the file is packed with {packing}",
                hint="unpack it first; packed files are not read",
            )
    if start.startswith(_BOMS) or b"\x00" in start[:4]:
        return
    text = start.lstrip()
    if text and not text.startswith(b"<"):
        raise QifDocumentError(name, 1, "not XML: the file does not begin with <")


def _too_large(name: str, limits: Limits, size: int | None) -> QifLimitError:
    has = "more" if size is None else f"{size:,} bytes"
    return QifLimitError(
        name, None, f"the file has {has}, the limit is {limits.size:,} bytes", hint="split the document"
    )


class XmlStream:
    """A parser that is fed chunks and calls `started`, `ended` and `texted`, which may be exchanged meanwhile.

    Names of elements in a namespace are `URI name`. Keeps to the limits on tags and names; those on depth and
    number of elements are for `started`, the only one that is called for every element.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self._names: dict[str, str] = {}
        self._prefixes: set[str | None] = set()
        self._fed = 0
        self._spaces: list[str | None] = [None]
        self._readable = True
        self._cdata = False
        parser = expat.ParserCreate(namespace_separator=" ", intern=self._names)
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ExternalEntityRefHandler = self._refuse_doctype
        parser.XmlDeclHandler = self._declare
        parser.StartNamespaceDeclHandler = self._open_space
        parser.EndNamespaceDeclHandler = self._close_space
        parser.StartCdataSectionHandler = lambda: self._set_cdata(within=True)
        parser.EndCdataSectionHandler = lambda: self._set_cdata(within=False)
        self._parser = parser

    @property
    def line(self) -> int:
        """The line of what is being reported."""
        return self._parser.CurrentLineNumber

    @property
    def settled(self) -> bool:
        """All that was fed has been reported, what follows begins with markup or text, and is in UTF-8."""
        return self._readable and not self._cdata and self._parser.CurrentByteIndex == self._fed

    @property
    def space(self) -> str | None:
        """The namespace of names without a prefix."""
        return self._spaces[-1]

    def call(self, started: Started | None, ended: Ended | None, texted: Texted | None) -> None:
        """Set what is called from now on, also from within a call."""
        self._parser.StartElementHandler = started
        self._parser.EndElementHandler = ended
        self._parser.CharacterDataHandler = texted

    def feed(self, chunk: bytes) -> None:
        """Parse some more. Raises `QifDocumentError`, and whatever the functions raise that are called."""
        self._parse(chunk, last=False)
        self._fed += len(chunk)
        # A tag or comment is parsed once it is complete: what expat has not passed yet is one that is not.
        if self._fed - self._parser.CurrentByteIndex > self.limits.tag:
            raise self.beyond(f"a tag or comment of more than {self.limits.tag:,} bytes")
        if len(self._names) + len(self._prefixes) > self.limits.names:
            raise self.beyond(f"more than {self.limits.names:,} different names")

    def close(self) -> None:
        """Parse the end. Raises `QifDocumentError` when it comes too early."""
        self._parse(b"", last=True)

    def refuse(self, reason: str, *, hint: str | None = None) -> QifDocumentError:
        """Return an error at the current line."""
        return QifDocumentError(self.name, self.line, reason, hint=hint)

    def beyond(self, reason: str) -> QifLimitError:
        """Return the error of a limit, at the current line."""
        return QifLimitError(self.name, self.line, reason, hint="no inspection document needs that much")

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise self._named(error) from error
        except (LookupError, ValueError, TypeError) as error:
            # How pyexpat reports declared encodings that Python does not have, or that aren't of one byte;
            # once there was an element, it is an error of a function that was called.
            if self._names:
                raise
            raise QifDocumentError(
                self.name, 1, f"the encoding can't be read: {error}", hint="save the document as UTF-8"
            ) from error

    def _named(self, error: expat.ExpatError) -> QifDocumentError:
        reason, hint = expat.ErrorString(error.code), None
        if error.code in _CUT_OFF:
            reason, hint = f"the document ends too early: {reason}", "get the whole file again"
        elif error.code == _INVALID:
            reason = "not well-formed, or not in the encoding that it declares"
        elif error.code == _UNDEFINED:
            reason, hint = (
                "an entity is referred to; there are none in QIF",
                "write the characters themselves",
            )
        else:
            reason = f"not well-formed: {reason}"
        return QifDocumentError(self.name, error.lineno, reason, hint=hint)

    def _refuse_doctype(self, *_: object) -> int:
        raise self.refuse(
            "a document type declaration (DOCTYPE) is not accepted, nor are entities",
            hint="remove it; QIF documents have none",
        )

    def _declare(self, _: str, encoding: str | None, __: int) -> None:
        self._readable = encoding is None or encoding.lower() == "utf-8"

    def _set_cdata(self, *, within: bool) -> None:
        self._cdata = within

    def _open_space(self, prefix: str | None, uri: str | None) -> None:
        self._prefixes.add(prefix)
        if prefix is None:
            self._spaces.append(uri)

    def _close_space(self, prefix: str | None) -> None:
        if prefix is None:
            self._spaces.pop()
