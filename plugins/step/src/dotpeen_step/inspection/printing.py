"""Print what comes from files: no markup, no control characters, no endless lines."""

from __future__ import annotations

from typing import Final

from rich.text import Text

MOST_SHOWN: Final = 120
"""Characters of a text from a file."""


def plain(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text as a terminal may have it: on one line, what isn't printable replaced, cut where it is long."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def shown(text: str, style: str = "", most: int = MOST_SHOWN) -> Text:
    """Return a text for Rich, in which nothing is markup."""
    return Text(plain(text, most), style=style)
