"""The files of an import: each read once, those that others refer to first, nothing outside their folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from dotpeen.errors import DotpeenError
from dotpeen_qif.limits import QifDocumentError
from dotpeen_qif.model import Document, ExternalDocument
from dotpeen_qif.reading import read_document

EXTENSIONS: Final = (".qif", ".xml")
MOST: Final = 1000
"""Documents of one import."""


@dataclass(frozen=True)
class File:
    """A file and what it says; `document.results` can be taken once."""

    path: Path
    digest: bytes
    document: Document

    def again(self) -> File:
        """Read the file again: its results were taken."""
        return File(self.path, self.digest, read_document(self.path))


def gather(
    paths: Sequence[Path], begin: Callable[[Path], None] = lambda _: None
) -> tuple[list[File], list[DotpeenError]]:
    """Read files and those beside them that they refer to; returns them in the order of import, and what went wrong.

    Two files with one QPId are one document only if they are the same, byte for byte. `begin` is told of each file
    before it is read.
    """
    found = _Gathering(begin)
    for path in paths:
        found.read(path)
    ordered: list[File] = []
    for qpid in list(found.files):
        found.visit(qpid, ordered)
    return ordered, found.errors


class _Gathering:
    def __init__(self, begin: Callable[[Path], None]) -> None:
        self._begin = begin
        self.files: dict[str, File] = {}
        self.errors: list[DotpeenError] = []
        self._paths: set[Path] = set()
        self._visited: set[str] = set()

    def read(self, path: Path) -> File | None:
        """Read a file, unless it was; None where it can't be read."""
        whole = path.resolve()
        if whole in self._paths:
            return None
        self._paths.add(whole)
        try:
            if len(self._paths) > MOST:
                raise QifDocumentError(str(path), None, f"more than {MOST} documents at once")
            self._begin(path)
            document = read_document(path)
            digest = _digest(path)
        except DotpeenError as error:
            self.errors.append(error)
            return None
        except OSError as error:
            self.errors.append(QifDocumentError(str(path), None, f"can't be read: {error.strerror or error}"))
            return None
        known = self.files.get(document.qpid)
        if known is not None:
            if known.digest != digest:
                self.errors.append(
                    QifDocumentError(
                        str(path),
                        None,
                        f"has the QPId of {known.path}, {document.qpid}, and is another document",
                    )
                )
            return None
        self.files[document.qpid] = File(path, digest, document)
        return self.files[document.qpid]

    def visit(self, qpid: str, ordered: list[File]) -> None:
        """Put a document behind those that it refers to; documents that refer to each other come as they are given."""
        waiting: list[tuple[str, Iterator[ExternalDocument]]] = []
        self._enter(qpid, waiting)
        while waiting:
            current, references = waiting[-1]
            external = next(references, None)
            if external is None:
                waiting.pop()
                ordered.append(self.files[current])
                continue
            if external.qpid not in self.files:
                self._follow(self.files[current], external)
            if external.qpid in self.files:
                self._enter(external.qpid, waiting)

    def _enter(self, qpid: str, waiting: list[tuple[str, Iterator[ExternalDocument]]]) -> None:
        if qpid not in self._visited:
            self._visited.add(qpid)
            waiting.append((qpid, iter(self.files[qpid].document.external)))

    def _follow(self, file: File, external: ExternalDocument) -> None:
        """Look for a document beside the file that refers to it."""
        path = beside(file.path, external.uri)
        if path is None:
            return
        before = len(self.errors)
        read = self.read(path)
        if read is not None and read.document.qpid != external.qpid:
            # Another document by that name: nobody asked for it.
            del self.files[read.document.qpid]
        del self.errors[before:]


def beside(path: Path, uri: str | None) -> Path | None:
    """Return the file that a reference means, None for one that isn't a file in the same folder or below it."""
    if not uri:
        return None
    try:
        parts = urlsplit(uri.strip())
    except ValueError:
        return None
    name = unquote(parts.path).replace("\\", "/")
    if parts.scheme or parts.netloc or parts.query or "\0" in name or name.startswith("/"):
        return None
    folder = path.parent.resolve()
    try:
        meant = (folder / name).resolve()
        if not meant.is_relative_to(folder) or not meant.is_file():
            return None
    except (OSError, RuntimeError):
        return None
    return meant if meant.suffix.lower() in EXTENSIONS else None


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
