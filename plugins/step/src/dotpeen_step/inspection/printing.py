"""Print what comes from files: no markup, no control characters, no endless lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.measure import Measurement
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.tree import Tree

MOST_SHOWN: Final = 120
"""Characters of a text from a file."""
_WIDEST: Final = 10_000
"""Columns of what is not printed on a terminal."""


def plain(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text as a terminal may have it: on one line, what isn't printable replaced, cut where it is long."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def shown(text: str, style: str = "", most: int = MOST_SHOWN) -> Text:
    """Return a text for Rich, in which nothing is markup."""
    return Text(plain(text, most), style=style)


def print_whole(out: Console, what: Table | Tree) -> None:
    """Print a table or a tree; where no terminal bounds it, as wide as it is: a line for each row, nothing folded."""
    if out.is_terminal:
        out.print(what)
        return
    width = out.width
    out.width = max(width, whole_width(out, what))
    try:
        out.print(what)
    finally:
        out.width = width


def whole_width(out: Console, what: Table | Tree) -> int:
    """Return how many columns a table or a tree needs to have a line for each row."""
    return Measurement.get(out, out.options.update(max_width=_WIDEST), what).maximum
