"""One of the files of an import, while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from dotpeen_qif.model import Document, Unit


@dataclass
class Source:
    """One of the files while it is read."""

    file: int
    name: str
    digest: bytes
    document: Document
    main_part: str | None = None
    """Reference of the part that it is about where nothing else is said."""
    characteristics: dict[str, tuple[str, str, Unit | None]] = field(default_factory=dict)
    """Kind, UUID and unit of each characteristic by its key."""
