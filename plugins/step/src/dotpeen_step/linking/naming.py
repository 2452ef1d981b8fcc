"""What a product of a file is called in messages: by its id, its name where it has another one, its revision."""

from __future__ import annotations

from typing import Final

from dotpeen_step.inspection.printing import plain

_LONGEST: Final = 80
"""Characters of a text that a message has."""


def product_called(number: str, name: str, revision: str) -> str:
    """Return what people are shown of a product: `'PN-1001' (Plate) revision A`, `'' (Box)` where it has no id."""
    called = f" ({plain(name, _LONGEST)})" if name.strip() and name != number else ""
    revised = f" revision {plain(revision, _LONGEST)}" if revision.strip() else ""
    return f"{plain(number, _LONGEST)!r}{called}{revised}"
