"""What items of an answer are asked to have: small demands, each with the message of what isn't so."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

from dotpeen.identifiers import canonical_uuid
from dotpeen.registry import Registry


class RubbishError(Exception):
    """An answer is not what the hook's specification says."""


def shown(value: object) -> str:
    """Return a foreign value as a message can bear it: short, on one line, whatever its `repr` does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        return f"a value of {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def require(fits: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Raise `RubbishError` with the message unless it is so."""
    if not fits:
        raise RubbishError(message)


def require_text(item: object, name: str, *, empty: bool = False) -> None:
    """A field is a text, and not blank unless it may be."""
    value = getattr(item, name)
    require(isinstance(value, str) and (empty or bool(value.strip())), f"{name} {shown(value)} is no text")


def require_match(item: object, name: str, pattern: re.Pattern[str], wanted: str) -> None:
    """A field is a text of a form; `wanted` names the form."""
    value = getattr(item, name)
    fits = isinstance(value, str) and pattern.fullmatch(value) is not None
    require(fits, f"{name} {shown(value)} is not {wanted}")


def require_call(item: object, name: str) -> None:
    """A field is a function that can be called as it is."""
    value = getattr(item, name)
    require(callable(value) and not inspect.iscoroutinefunction(value), f"{name} is no plain function")


def require_entity(registry: Registry, name: object, field: str) -> None:
    """A name is that of an entity of the site; `field` is where it stands."""
    require(
        isinstance(name, str) and name in registry.entities, f"{field} {shown(name)} is not in the registry"
    )


def require_entities(item: object, field: str, registry: Registry) -> None:
    """The names of a field are those of entities of the site."""
    for name in require_texts(item, field):
        require_entity(registry, name, field)


def require_texts(item: object, name: str) -> Sequence[str]:
    """Return the texts of a field."""
    value = getattr(item, name)
    fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    require(fits, f"{name} {shown(value)} is no tuple of texts")
    return value  # type: ignore[no-any-return]


def require_options(item: object) -> None:
    """`options` has names with a sentence each."""
    value = getattr(item, "options", None)
    fits = isinstance(value, Mapping) and all(
        isinstance(text, str) for pair in value.items() for text in pair
    )
    require(fits, f"options {shown(value)} are no names with a sentence each")


def require_uuid(item: object) -> None:
    """`uuid` is a UUID, in upper or lower case."""
    value = getattr(item, "uuid", None)
    try:
        canonical_uuid(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError):
        raise RubbishError(f"uuid {shown(value)} is no UUID") from None
