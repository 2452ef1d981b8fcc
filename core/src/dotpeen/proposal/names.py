"""Names: split them into words, tell a table's style, make entity names and paths from table names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final, Literal

from pydantic import ValidationError

from dotpeen.registry.models import Entity, TableName, default_path

Style = Literal["camel", "snake"]

MAX_ENTITY_NAME: Final = 40
_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SINGULAR_IN_S: Final = {
    "series",
    "species",
    "news",
    "goods",
    "lens",
    "sales",
    "gas",
    "bias",
    "canvas",
    "atlas",
}
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L"}
)


def words(name: str) -> list[str]:
    """Split a name at case changes, digits and everything that is no letter; accents are dropped."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS)).encode("ascii", "ignore").decode("ascii")
    return _WORD.findall(plain)


def style(columns: Iterable[str]) -> Style:
    """Tell whether columns are written `camelCase` or `snake_case`; snake when they don't say."""
    camel = snake = 0
    for name in columns:
        if re.search(r"[a-z0-9][A-Z]", name):
            camel += 1
        elif "_" in name.strip("_"):
            snake += 1
    return "camel" if camel > snake else "snake"


def singular(word: str) -> str:
    """Return the likely singular of an English plural: `branches` → `branch`; other words stay."""
    lower = word.lower()
    if (
        lower in _SINGULAR_IN_S
        or not lower.endswith("s")
        or len(word) < 4
        or lower.endswith(("ss", "us", "is"))
    ):
        return word
    if lower.endswith("ies"):
        return word[:-3] + ("Y" if word.isupper() else "y")
    if lower.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


def entity_name(table: TableName, *, with_schema: bool = False) -> str:
    """Make an entity's name from a table's: `stock_lot` → `StockLot`, `Part` stays."""
    parts = words(table.name)
    if parts:
        parts[-1] = singular(parts[-1])
        # Frameworks prefix tables with their module: `party_party` is a party.
        parts = [
            part for before, part in zip(["", *parts], parts, strict=False) if part.lower() != before.lower()
        ]
    if with_schema:
        parts = words(table.schema) + parts
    shouting = all(part.isupper() for part in words(table.name))
    text = "".join(part if part[0].isupper() and not shouting else part.capitalize() for part in parts)
    if not text or not text[0].isalpha():
        text = "Table" + text
    return text[:MAX_ENTITY_NAME]


class Namer:
    """Gives each table a name, and a path where the default won't do; no two alike, not even but for case."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._paths: set[str] = set()

    def take(self, table: TableName) -> tuple[str, str | None]:
        """Return the entity's name and its path, or None where the default path is free."""
        plain = entity_name(table)
        if plain.casefold() not in self._names and not _allowed(default_path(plain)):
            path = default_path(plain) + "-records"
            if path not in self._paths:
                return self._keep(plain, path), path
        for name in self._candidates(table, plain):
            path = default_path(name)
            if name.casefold() not in self._names and path not in self._paths and _allowed(path):
                return self._keep(name, path), None
        raise AssertionError("the candidates never end")

    def _candidates(self, table: TableName, plain: str) -> Iterator[str]:
        yield plain
        if table.schema != "public":
            yield entity_name(table, with_schema=True)
        for number in count(2):
            yield plain[: MAX_ENTITY_NAME - len(str(number))] + str(number)

    def _keep(self, name: str, path: str) -> str:
        self._names.add(name.casefold())
        self._paths.add(path)
        return name


def _allowed(path: str) -> bool:
    try:
        Entity.model_validate({"name": "Any", "path": path})
    except ValidationError:
        return False
    return True
