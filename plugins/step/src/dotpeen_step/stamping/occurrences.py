"""How often texts stand in a file, whatever they are a part of: a search over bytes, at the speed of reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dotpeen_step.part21.file import Part21File

_BLOCK: Final = 1 << 22


def count(file: Part21File, texts: Iterable[str], *, block: int = _BLOCK) -> dict[str, int]:
    """Return how often each text occurs, capital and small letters alike. Texts are ASCII and not empty."""
    needles = {text: text.lower().encode("ascii") for text in texts}
    found = dict.fromkeys(needles, 0)
    overlap = max(map(len, needles.values()), default=1) - 1
    kept = b""
    for position in range(0, file.size, block):
        content = kept + file.read(position, block).lower()
        for text, needle in needles.items():
            # What lies wholly in the bytes that were kept was counted with the block before.
            found[text] += content.count(needle) - kept.count(needle)
        kept = content[-overlap:] if overlap else b""
    return found
