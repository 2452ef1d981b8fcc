"""What a hook may answer: each answer is held against the hook's specification before anything uses it.

An answer counts as a whole: one wrong item spoils its plugin's answer to that hook, and nothing else.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dotpeen.contributions import (
    ApiRouter,
    Exporter,
    ExternalReference,
    Health,
    Importer,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
)
from dotpeen.identifiers import parse_uuid
from dotpeen.registry import Registry

if TYPE_CHECKING:
    import typer

RESERVED_COMMANDS: Final = frozenset(
    {
        *("api", "audit", "changes", "check", "db", "demo", "doctor", "export", "import", "init", "lookup"),
        *("migrate", "partner", "plugin", "plugins", "serve", "work"),
    }
)
"""Core's own commands, those to come included: a group of a plugin can't be called so."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_.+-]+)*"
)
_EXTENSION: Final = re.compile(r"(\.[A-Za-z0-9_-]+)+")
_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer names."""


class RubbishError(Exception):
    """An answer is not what the hook's specification says."""


def checked(hook: str, answer: object, registry: Registry, earlier: Iterable[tuple[str, Any]] = ()) -> Any:
    """Return a hook's answer, lists as tuples; `earlier` has the answers of other plugins to the same call.

    Raises `RubbishError`, which says what is wrong.
    """
    if inspect.iscoroutine(answer):
        answer.close()
        raise RubbishError("the hook is asynchronous; it has to be a plain function")
    form = _FORMS.get(hook)
    if form is None:
        return answer
    if form.single:
        _check_item(form, answer, registry, "")
        return answer
    if isinstance(answer, str | bytes) or not isinstance(answer, Sequence):
        raise RubbishError(f"{shown(answer)} is no list of {form.type_name}")
    items = tuple(answer)
    for number, item in enumerate(items, start=1):
        _check_item(form, item, registry, f"item {number}: ")
    _check_unique(form, items, earlier)
    return tuple(form.normal(item) for item in items)


def shown(value: object) -> str:
    """Return a foreign value as a message can bear it: short, on one line, whatever its `repr` does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        return f"a value of {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class _Form:
    """What the items of an answer have to be."""

    type: type | None
    type_name: str
    check: Callable[[Any, Registry], None]
    unique: Callable[[Any], Iterable[str]] = lambda item: ()
    """What no two items of a site may share, in the words of the message."""
    normal: Callable[[Any], Any] = lambda item: item
    single: bool = False


def _check_item(form: _Form, item: object, registry: Registry, where: str) -> None:
    kind = form.type or _typer()
    if not isinstance(item, kind):
        raise RubbishError(f"{where}{shown(item)} is no {form.type_name}")
    try:
        form.check(item, registry)
    except RubbishError as error:
        raise RubbishError(f"{where}{error}") from None


def _check_unique(form: _Form, items: tuple[Any, ...], earlier: Iterable[tuple[str, Any]]) -> None:
    taken = {
        key: f"plugin {plugin} has"
        for plugin, answer in earlier
        for item in answer
        for key in form.unique(item)
    }
    for item in items:
        for key in form.unique(item):
            if key in taken:
                raise RubbishError(f"{key} is taken: {taken[key]} one")
        taken |= dict.fromkeys(form.unique(item), "it already has")


def _require(fits: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not fits:
        raise RubbishError(message)


def _text(item: object, name: str, *, empty: bool = False) -> None:
    value = getattr(item, name)
    _require(isinstance(value, str) and (empty or bool(value.strip())), f"{name} {shown(value)} is no text")


def _matches(item: object, name: str, pattern: re.Pattern[str], wanted: str) -> None:
    value = getattr(item, name)
    fits = isinstance(value, str) and pattern.fullmatch(value) is not None
    _require(fits, f"{name} {shown(value)} is not {wanted}")


def _call(item: object, name: str) -> None:
    value = getattr(item, name)
    _require(callable(value) and not inspect.iscoroutinefunction(value), f"{name} is no plain function")


def _entity(registry: Registry, name: object, field: str) -> None:
    _require(
        isinstance(name, str) and name in registry.entities, f"{field} {shown(name)} is not in the registry"
    )


def _entities(item: object, field: str, registry: Registry) -> None:
    for name in _texts(item, field):
        _entity(registry, name, field)


def _texts(item: object, name: str) -> Sequence[str]:
    value = getattr(item, name)
    fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    _require(fits, f"{name} {shown(value)} is no tuple of texts")
    return value  # type: ignore[no-any-return]


def _options(item: object) -> None:
    value = getattr(item, "options", None)
    fits = isinstance(value, Mapping) and all(
        isinstance(text, str) for pair in value.items() for text in pair
    )
    _require(fits, f"options {shown(value)} are no names with a sentence each")


_LOWER: Final = "lower-case letters, digits and hyphens"


def _reference(item: ExternalReference, registry: Registry) -> None:
    _matches(item, "name", _FIELD, "letters, digits and underscores")
    _entity(registry, item.entity, "entity")
    _text(item, "column")
    _require(len(item.column.encode()) <= _NAME_BYTES, f"column {shown(item.column)} is longer than 63 bytes")
    _require("\x00" not in item.column, "column has a NUL")
    _require(item.type in ("text", "uuid"), f"type {shown(item.type)} is neither 'text' nor 'uuid'")


def _exporter(item: Exporter, registry: Registry) -> None:
    _matches(item, "format", _NAME, _LOWER)
    _matches(item, "media_type", _MEDIA_TYPE, "a media type")
    _matches(item, "extension", _EXTENSION, "an extension with its dot")
    _entities(item, "entities", registry)
    _entities(item, "reads", registry)
    _call(item, "open")
    _options(item)
    _text(item, "summary", empty=True)


def _importer(item: Importer, registry: Registry) -> None:
    _matches(item, "format", _NAME, _LOWER)
    for extension in _texts(item, "extensions"):
        fits = _EXTENSION.fullmatch(extension) is not None and extension == extension.lower()
        _require(fits, f"extensions: {shown(extension)} is no extension with its dot, in lower case")
    _call(item, "read")
    _options(item)
    _text(item, "summary", empty=True)


def _router(item: ApiRouter, registry: Registry) -> None:
    from fastapi import APIRouter  # the plugin that made a router has loaded it

    _require(isinstance(item.router, APIRouter), f"router {shown(item.router)} is no fastapi.APIRouter")
    _entity(registry, item.entity, "entity")
    _require(
        item.surface in ("external", "internal"),
        f"surface {shown(item.surface)} is neither external nor internal",
    )


def _commands(item: typer.Typer, registry: Registry) -> None:
    name = item.info.name
    _require(isinstance(name, str), "the group has no name: say typer.Typer(name=...)")
    _require(_NAME.fullmatch(str(name)) is not None, f"the group's name {shown(name)} is not {_LOWER}")
    _require(name not in RESERVED_COMMANDS, f"the group's name {name!r} is that of a command of Dotpeen")


def _verification(item: VerificationCheck, registry: Registry) -> None:
    _text(item, "name")
    _call(item, "run")


def _thread_entry(item: ThreadEntry, registry: Registry) -> None:
    _text(item, "kind")
    _text(item, "value")
    aware = item.at is None or (isinstance(item.at, datetime) and item.at.tzinfo is not None)
    _require(aware, f"at {shown(item.at)} is no datetime with a time zone")
    _require(isinstance(item.details, Mapping), f"details {shown(item.details)} are no mapping")
    try:
        json.dumps(dict(item.details), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RubbishError(f"details can't be written as JSON: {error}") from None


def _record_reference(item: RecordReference, registry: Registry) -> None:
    _entity(registry, item.entity, "entity")
    _text(item, "kind")
    try:
        parse_uuid(item.uuid)
    except (ValueError, TypeError, AttributeError):
        raise RubbishError(f"uuid {shown(item.uuid)} is no UUID") from None


def _health(item: Health, registry: Registry) -> None:
    _require(isinstance(item.ok, bool), f"ok {shown(item.ok)} is neither True nor False")
    _text(item, "message", empty=True)


def _typer() -> type:
    import typer

    return typer.Typer


_FORMS: Final[Mapping[str, _Form]] = {
    "dotpeen_external_references": _Form(
        ExternalReference,
        "ExternalReference",
        _reference,
        unique=lambda item: (f"{item.entity}.{item.name}", f"column {item.column} of {item.entity}"),
    ),
    "dotpeen_exporters": _Form(
        Exporter, "Exporter", _exporter, unique=lambda item: (f"format {item.format}",)
    ),
    "dotpeen_importers": _Form(
        Importer, "Importer", _importer, unique=lambda item: (f"format {item.format}",)
    ),
    "dotpeen_api_routers": _Form(ApiRouter, "ApiRouter", _router),
    "dotpeen_commands": _Form(
        None, "typer.Typer", _commands, unique=lambda item: (f"command {item.info.name}",)
    ),
    "dotpeen_verification_checks": _Form(VerificationCheck, "VerificationCheck", _verification),
    "dotpeen_thread_entries": _Form(ThreadEntry, "ThreadEntry", _thread_entry),
    "dotpeen_resolve_uuid": _Form(
        RecordReference,
        "RecordReference",
        _record_reference,
        normal=lambda item: replace(item, uuid=str(parse_uuid(item.uuid))),
    ),
    "dotpeen_health": _Form(Health, "Health", _health, single=True),
}
