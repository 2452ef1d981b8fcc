"""Scopes: what a partner may do, one entity and one verb at a time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from dotpeen.errors import PartnerError

VERBS: Final = ("read", "write")
"""Every verb. `write` doesn't include `read`."""
EVERY_ENTITY: Final = "*"

_SCOPE = re.compile(r"(\*|[A-Za-z][A-Za-z0-9_]{0,39}):([a-z]+)")


class Scope(NamedTuple):
    """One permission: `Part:read`, or `*:read` for every entity."""

    entity: str
    verb: str

    def __str__(self) -> str:
        return f"{self.entity}:{self.verb}"

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read `Entity:verb` or `*:verb`. Raises `PartnerError`."""
        match = _SCOPE.fullmatch(text)
        if match is None:
            raise PartnerError(
                f"{text!r} is no scope", hint="write an entity and a verb, 'Part:read', or '*:read' for all"
            )
        if match[2] not in VERBS:
            close = difflib.get_close_matches(match[2], VERBS, n=1)
            meant = f"did you mean '{match[1]}:{close[0]}'? " if close else ""
            raise PartnerError(f"{text!r}: no verb {match[2]!r}", hint=f"{meant}verbs: {', '.join(VERBS)}")
        return cls(match[1], match[2])


def parse_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """Read scopes. Raises `PartnerError` for the first wrong one, and where there is none."""
    scopes = frozenset(Scope.parse(text) for text in texts)
    if not scopes:
        raise PartnerError("without a scope a partner may do nothing", hint="give one or more: 'Part:read'")
    return scopes


def check_entities(scopes: Iterable[Scope], entities: Collection[str]) -> None:
    """Raise `PartnerError` for a scope of an entity that is not among `entities`; names close matches."""
    for scope in sorted(scopes):
        if scope.entity == EVERY_ENTITY or scope.entity in entities:
            continue
        folded = {name.casefold(): name for name in entities}
        close = difflib.get_close_matches(scope.entity.casefold(), folded, n=3, cutoff=0.6)
        hint = f"registered entities: {', '.join(entities) or 'none'}"
        if close:
            hint = f"did you mean {' or '.join(folded[name] for name in close)}? {hint}"
        raise PartnerError(f"'{scope}': no entity {scope.entity!r} in the registry", hint=hint)


def allows(scopes: Collection[Scope], entity: str, verb: str) -> bool:
    """Tell whether any of the scopes covers this verb on this entity."""
    # A scope is a tuple: no object has to be made to look for it.
    return (entity, verb) in scopes or (EVERY_ENTITY, verb) in scopes


def narrow(scopes: Collection[Scope], wanted: Iterable[Scope]) -> frozenset[Scope]:
    """Return what both allow: `*:read` narrowed to `Part:read` is `Part:read`."""
    both = set()
    for scope in wanted:
        if allows(scopes, scope.entity, scope.verb):
            both.add(scope)
        elif scope.entity == EVERY_ENTITY:
            both |= {held for held in scopes if held.verb == scope.verb}
    return frozenset(both)


def write_scopes(scopes: Iterable[Scope]) -> list[str]:
    """Return them as text, in a fixed order."""
    return [str(scope) for scope in sorted(scopes)]
