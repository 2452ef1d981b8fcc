"""Small pieces of XML as text; what goes into them is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from dotpeen_qif.exporting import text

_BLANKS: Final = re.compile("[ \t\r\n]+")


def element(tag: str, /, *content: str, **attributes: object) -> str:
    """Return an element with markup in it; attributes that are None are left out."""
    opened = tag + "".join(
        f' {key}="{text.attribute(str(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = "".join(content)
    return f"<{opened}>{inner}</{tag}>" if inner else f"<{opened}/>"


def leaf(tag: str, value: str | None, /, **attributes: object) -> str:
    """Return an element with a text in it; nothing for None."""
    return "" if value is None else element(tag, text.text(value), **attributes)


def number(tag: str, value: Decimal | None, /, **attributes: object) -> str:
    """Return an element with a number in it; nothing for None."""
    return "" if value is None else element(tag, text.number(value), **attributes)


def token(value: str) -> str:
    """Return a text as `xs:token` reads it: blanks collapsed."""
    return _BLANKS.sub(" ", value).strip(" ")


def listed(tag: str, members: Iterable[str], /, **attributes: object) -> str:
    """Return a list with its number of members in `n`, one to a line; nothing for an empty one."""
    pieces = list(members)
    if not pieces:
        return ""
    return element(tag, "\n", *(f"{piece}\n" for piece in pieces), n=len(pieces), **attributes)


def ids(name: str, values: Iterable[int]) -> str:
    """Return a list of references; nothing for an empty one."""
    pieces = [f"<Id>{value}</Id>" for value in values]
    return element(name, *pieces, n=len(pieces)) if pieces else ""


def attributes(uuids: Mapping[str, str | None], texts: Mapping[str, str]) -> str:
    """Return the `Attributes` of an element: UUIDs, then texts."""
    pieces = [
        element("AttributeQPId", leaf("Value", uuid), name=name)
        for name, uuid in uuids.items()
        if uuid is not None
    ]
    pieces += [element("AttributeStr", name=name, value=value) for name, value in texts.items()]
    return element("Attributes", *pieces, n=len(pieces)) if pieces else ""
