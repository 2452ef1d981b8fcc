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
    DigitalModel,
    Exporter,
    ExternalReference,
    Health,
    Importer,
    ModelEntity,
    RecordReference,
    ThreadEntry,
    VerificationCheck,
)
from dotpeen.identifiers import canonical_uuid
from dotpeen.plugins.demands import (
    RubbishError,
    require,
    require_call,
    require_entities,
    require_entity,
    require_match,
    require_options,
    require_text,
    require_texts,
    require_uuid,
    shown,
)
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
MODEL_ENTITIES: Final = 100_000
"""That one model may have: they are held in memory, 300 bytes each."""


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


_LOWER: Final = "lower-case letters, digits and hyphens"


def _reference(item: ExternalReference, registry: Registry) -> None:
    require_match(item, "name", _FIELD, "letters, digits and underscores")
    require_entity(registry, item.entity, "entity")
    require_text(item, "column")
    require(len(item.column.encode()) <= _NAME_BYTES, f"column {shown(item.column)} is longer than 63 bytes")
    require("\x00" not in item.column, "column has a NUL")
    require(item.type in ("text", "uuid"), f"type {shown(item.type)} is neither 'text' nor 'uuid'")


def _exporter(item: Exporter, registry: Registry) -> None:
    require_match(item, "format", _NAME, _LOWER)
    require_match(item, "media_type", _MEDIA_TYPE, "a media type")
    require_match(item, "extension", _EXTENSION, "an extension with its dot")
    require_entities(item, "entities", registry)
    require_entities(item, "reads", registry)
    require_call(item, "open")
    require_options(item)
    require_text(item, "summary", empty=True)


def _importer(item: Importer, registry: Registry) -> None:
    require_match(item, "format", _NAME, _LOWER)
    for extension in require_texts(item, "extensions"):
        fits = _EXTENSION.fullmatch(extension) is not None and extension == extension.lower()
        require(fits, f"extensions: {shown(extension)} is no extension with its dot, in lower case")
    require_call(item, "read")
    require_options(item)
    require_text(item, "summary", empty=True)


def _router(item: ApiRouter, registry: Registry) -> None:
    from fastapi import APIRouter  # the plugin that made a router has loaded it

    require(isinstance(item.router, APIRouter), f"router {shown(item.router)} is no fastapi.APIRouter")
    require_entity(registry, item.entity, "entity")
    require(
        item.surface in ("external", "internal"),
        f"surface {shown(item.surface)} is neither external nor internal",
    )
    size = item.max_body
    whole = size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
    require(whole, f"max_body {shown(size)} is no number of bytes")
    seconds = item.timeout
    some = seconds is None or (
        isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    )
    require(some, f"timeout {shown(seconds)} is no number of seconds")


def _commands(item: typer.Typer, registry: Registry) -> None:
    name = item.info.name
    require(isinstance(name, str), "the group has no name: say typer.Typer(name=...)")
    require(_NAME.fullmatch(str(name)) is not None, f"the group's name {shown(name)} is not {_LOWER}")
    require(name not in RESERVED_COMMANDS, f"the group's name {name!r} is that of a command of Dotpeen")


def _verification(item: VerificationCheck, registry: Registry) -> None:
    require_text(item, "name")
    require_call(item, "run")


def _thread_entry(item: ThreadEntry, registry: Registry) -> None:
    require_text(item, "kind")
    require_text(item, "value")
    aware = item.at is None or (isinstance(item.at, datetime) and item.at.tzinfo is not None)
    require(aware, f"at {shown(item.at)} is no datetime with a time zone")
    require(isinstance(item.details, Mapping), f"details {shown(item.details)} are no mapping")
    try:
        json.dumps(dict(item.details), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RubbishError(f"details can't be written as JSON: {error}") from None


def _record_reference(item: RecordReference, registry: Registry) -> None:
    require_entity(registry, item.entity, "entity")
    require_text(item, "kind")
    require_uuid(item)


def _digital_model(item: DigitalModel, registry: Registry) -> None:
    for name in ("name", "file_name", "format"):
        require_text(item, name)
    require(
        not {"/", "\\"} & set(item.file_name),
        f"file_name {shown(item.file_name)} has a folder: give the name alone",
    )
    if item.uuid is not None:
        require_uuid(item)
    require(isinstance(item.entities, list | tuple), f"entities {shown(item.entities)} are no tuple")
    most = f"there are more than {MODEL_ENTITIES:,} entities: leave out those that nobody refers to"
    require(len(item.entities) <= MODEL_ENTITIES, most)
    for number, one in enumerate(item.entities, start=1):
        try:
            require(isinstance(one, ModelEntity), f"{shown(one)} is no ModelEntity")
            require_uuid(one)
            require_text(one, "kind")
            require_text(one, "name", empty=True)
            require_text(one, "keyword", empty=True)
        except RubbishError as error:
            raise RubbishError(f"entity {number}: {error}") from None


def _normal_model(item: DigitalModel) -> DigitalModel:
    return replace(
        item,
        uuid=None if item.uuid is None else canonical_uuid(item.uuid),
        entities=tuple(
            one if one.uuid == (uuid := canonical_uuid(one.uuid)) else replace(one, uuid=uuid)
            for one in item.entities
        ),
    )


def _health(item: Health, registry: Registry) -> None:
    require(isinstance(item.ok, bool), f"ok {shown(item.ok)} is neither True nor False")
    require_text(item, "message", empty=True)


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
        normal=lambda item: replace(item, uuid=canonical_uuid(item.uuid)),
    ),
    "dotpeen_digital_models": _Form(DigitalModel, "DigitalModel", _digital_model, normal=_normal_model),
    "dotpeen_health": _Form(Health, "Health", _health, single=True),
}
