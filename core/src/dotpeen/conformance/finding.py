"""What `dotpeen check` finds, and the words it finds for it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from dotpeen.registry.models import Entity

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing `dotpeen check` has to say; `key` is where in the registry, `hint` what to do."""

    level: Level
    entity: str
    key: str
    message: str
    hint: str | None = None


def finding(level: Level, entity: Entity, field: str, message: str, hint: str | None = None) -> Finding:
    """Make a finding about a key of an entity."""
    return Finding(level, entity.name, f"entities.{entity.name}.{field}", message, hint)


def listed(columns: Sequence[str]) -> str:
    """Name columns in a sentence."""
    return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"


def quoted(*names: str) -> str:
    """Write a name as SQL wants it, for statements that a hint proposes."""
    return sql.Identifier(*names).as_string()


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Name the one that was probably meant: the same but for case and separators, or close to it."""
    names = list(known)
    flat = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in names}
    same = flat.get(re.sub(r"[^a-z0-9]", "", word.lower()))
    close = [same] if same else difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"its columns: {', '.join(names[:12])}"
