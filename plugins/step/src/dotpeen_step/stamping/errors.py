"""Why a file can't be stamped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dotpeen.errors import DotpeenError
from dotpeen_step.stamping.products import Product

_NAMED: Final = 10
"""Candidates that a message has room for."""


class StampError(DotpeenError):
    """A part's UUID can't be put into a file, or must not be; nothing was written."""

    def __init__(self, file: str, part: str, reason: str, *, hint: str | None = None) -> None:
        self.file = file
        self.part = part
        self.reason = reason
        super().__init__(f"{file}: {part}: {reason}", hint=hint)


class NoProductError(StampError):
    """It isn't certain which product of the file a part is; `candidates` are those that it could be."""

    def __init__(self, file: str, part: str, reason: str, candidates: Sequence[Product]) -> None:
        self.candidates = tuple(candidates)
        named = "; ".join(product.said for product in candidates[:_NAMED])
        if len(candidates) > _NAMED:
            named += f"; and {len(candidates) - _NAMED:,} more"
        hint = (
            f"choose one by its instance name or its id: {part}=#{candidates[0].ref}" if candidates else None
        )
        listed = f"; the file has {named}" if candidates else "; the file has no product that it could be"
        super().__init__(file, part, f"{reason}{listed}", hint=hint)


class CollisionError(StampError):
    """The file says something else already: the product has another UUID there, or something else has the part's."""
