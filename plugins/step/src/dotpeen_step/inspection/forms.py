"""How UUIDs are written in files: what counts as one, and what only looks like one."""

from __future__ import annotations

import re
from typing import Final

from dotpeen.identifiers import InvalidUuidError, canonical_uuid, read_uuid

_BLANKS: Final = re.compile(r"\s+")
_BARE: Final = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
_ALIKE: Final = re.compile(
    r"(?:urn[:_]?)?(?:uuid|guid)?[:_=-]?[{(]?"
    r"[0-9a-f]{8}(?:[-_]?)[0-9a-f]{4}(?:[-_]?)[0-9a-f]{4}(?:[-_]?)[0-9a-f]{4}(?:[-_]?)[0-9a-f]{12}[)}]?",
    re.IGNORECASE | re.ASCII,
)
_IN_BYTES: Final = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-")
_LINE_ENDS: Final = b"\r\n"
_NAMED: Final = re.compile(r"uuid|guid(?![aeio])", re.IGNORECASE)
"""No guide, and no guidance."""
_NAMED_IN_BYTES: Final = re.compile(_NAMED.pattern.encode(), re.IGNORECASE)


def read_carried(text: str) -> str:
    """Return the normal form (lower case, hyphens) of what an entity for UUIDs carries.

    Such a text can be nothing else, so more is accepted than elsewhere: blanks anywhere, no hyphens.
    Raises `InvalidUuidError`.
    """
    try:
        return canonical_uuid(text)
    except InvalidUuidError as error:
        bare = _BLANKS.sub("", text)
        if _BARE.fullmatch(bare):
            bare = "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))
        try:
            return str(read_uuid(bare))
        except InvalidUuidError:
            raise error from None


def looks_alike(text: str) -> bool:
    """Tell whether a text was probably meant as a UUID: braces, a prefix, underscores, no hyphens."""
    return _ALIKE.fullmatch(text.strip()) is not None


def may_hold_uuid(raw: bytes) -> bool:
    """Tell quickly whether an instance's text may hold a UUID in the usual form."""
    if _IN_BYTES.search(raw) is not None:
        return True
    # A long string may be broken at any place by the writer's line length.
    return b"\n" in raw and _IN_BYTES.search(raw.translate(None, _LINE_ENDS)) is not None


def is_named_uuid(name: str) -> bool:
    """Tell whether an attribute's name says that it is a UUID or GUID."""
    return _NAMED.search(name) is not None


def may_be_named_uuid(raw: bytes) -> bool:
    """Tell quickly whether some text of an instance may say that it is a UUID or GUID."""
    return _NAMED_IN_BYTES.search(raw) is not None
