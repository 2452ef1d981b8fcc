"""Digital signatures of ISO 10303-21:2016 (clause 14), which any edit would break."""

from __future__ import annotations

import re
from typing import Final

from dotpeen_step.part21.errors import Part21Error
from dotpeen_step.part21.file import Part21File

_TAIL: Final = 1 << 16
_LARGEST: Final = 1 << 24
_END: Final = re.compile(rb"END-ISO-10303-21\s*;")
_SIGNATURE: Final = re.compile(rb"\bSIGNATURE\b")


def require_unsigned(file: Part21File) -> None:
    """Raise `Part21Error` for a file that is cut off, or that carries a signature."""
    tail = _TAIL
    while True:
        start = max(0, file.size - tail)
        content = file.read(start, file.size - start)
        end = None
        for end in _END.finditer(content):  # noqa: B007 - the last one
            pass
        if end is not None:
            break
        if start == 0 or tail >= _LARGEST:
            raise Part21Error(
                file.name,
                "END-ISO-10303-21; is missing at its end",
                hint="the file may be cut off: dotpeen step inspect says where it breaks",
            )
        tail *= 16
    if _SIGNATURE.search(content, end.end()):
        raise Part21Error(
            file.name,
            "it is signed, and a stamp would break the signature",
            line=file.line(start + end.end()),
            byte=start + end.end(),
            hint="stamp the file before it is signed",
        )
