"""The bytes of an exchange structure: a file on disk or a text in memory, read by position."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from dotpeen_step.part21.errors import Part21Error, Part21FileError

_CHUNK: Final = 1024**2
_BOM: Final = b"\xef\xbb\xbf"
_OTHER: Final = {
    b"\x1f\x8b": "gzip archive",
    b"PK\x03\x04": "ZIP archive",
    b"BZh": "bzip2 archive",
    b"\xfd7zXZ\x00": "xz archive",
    b"\x28\xb5\x2f\xfd": "zstd archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


class Source:
    """What is read: `name` for messages, `size` in bytes, `start` where the text begins behind a byte-order mark.

    Positions are absolute and reading moves none, so that several readers can go over the same file.
    """

    def __init__(self, name: str, size: int, *, data: bytes | None = None, descriptor: int = -1) -> None:
        self.name = name
        self.size = size
        self._data = data
        self._descriptor = descriptor
        self.start = 0
        self._state = self._now()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """Open a file. Raises `Part21FileError` where there is none, or something that is no regular file."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would wait for a writer
                raise Part21FileError(str(path), "not a regular file")
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            return cls(str(path), os.fstat(descriptor).st_size, descriptor=descriptor)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Part21FileError(str(path), f"can't be read: {reason}") from error

    def _begin(self) -> None:
        first = self.read(0, 8)
        if not first:
            raise Part21Error(self.name, "the file is empty")
        for mark, kind in _OTHER.items():
            if first.startswith(mark):
                raise Part21Error(
                    self.name, f"this is a {kind}, not a STEP file", hint="unpack or convert it first"
                )
        if first.startswith(_BOM):
            self.start = len(_BOM)

    def read(self, position: int, length: int) -> bytes:
        """Return the bytes at `position`: `length` of them, or fewer at the end of the file."""
        if self._data is not None:
            return self._data[position : position + length]
        if self._descriptor < 0:
            raise ValueError("the file is closed")
        try:
            text = os.pread(self._descriptor, length, position)
            while 0 < len(text) < min(length, self.size - position):
                more = os.pread(self._descriptor, length - len(text), position + len(text))
                if not more:
                    break
                text += more
        except OSError as error:
            raise Part21FileError(self.name, f"can't be read: {error.strerror}", byte=position) from error
        return text

    def _now(self) -> tuple[int, int, int] | None:
        """Return size, time of the last change and inode; None of a text in memory."""
        if self._descriptor < 0:
            return None
        now = os.fstat(self._descriptor)
        return now.st_size, now.st_mtime_ns, now.st_ino

    def check_unchanged(self) -> None:
        """Raise `Part21FileError` where the file was written to since it was opened."""
        if self._now() != self._state:
            raise Part21FileError(
                self.name, "changed while it was read", hint="try again when no program writes it any more"
            )

    def line(self, byte: int) -> int:
        """Return the line that a byte is in, counted from 1; CR, LF and CRLF end lines."""
        line = 1
        last = b""
        for position in range(0, byte, _CHUNK):
            text = self.read(position, min(_CHUNK, byte - position))
            line += text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
            line -= last == b"\r" and text.startswith(b"\n")
            last = text[-1:]
        return line - (last == b"\r" and self.read(byte, 1) == b"\n")

    def error(
        self, byte: int, reason: str, *, hint: str | None = None, kind: type[Part21Error] = Part21Error
    ) -> Part21Error:
        """Return the error that names a place in this file by line and byte."""
        return kind(self.name, reason, line=self.line(byte), byte=byte, hint=hint)

    def close(self) -> None:
        """Close the file; closing twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
