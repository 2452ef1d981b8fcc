"""Read `registry.toml`: every problem at once, each with its key, its line and a hint."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dotpeen.errors import ConfigurationError, Problem, RegistryError
from dotpeen.registry.models import Registry, Source

MAX_BYTES = 4 * 1024 * 1024
_Settings = TypeVar("_Settings", bound=BaseModel)


def load_registry(path: str | os.PathLike[str]) -> Registry:
    """Read and validate a registry file.

    Raises `ConfigurationError` when it can't be read, `RegistryError` with every problem when it is wrong.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(
                f"{path}: larger than {MAX_BYTES // 1024 // 1024} MB, which no registry is"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such file",
            hint="name one with -r FILE, or have one proposed: dotpeen init --database-url URL -o FILE",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    return parse_registry(text, file=str(path))


def parse_registry(text: str, *, file: str = "registry.toml") -> Registry:
    """Validate a registry's text; `file` is what messages call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = int(match[1]) if match else max(1, len(text.splitlines()))
        message = f"TOML syntax error: {str(error).split(' (at ')[0]}"
        raise RegistryError(
            file, [Problem("", message, line, f"column {match[2]}" if match else None)]
        ) from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, tables nested hundreds deep: nothing that a registry needs.
        raise RegistryError(file, [Problem("", f"can't be read: {error}")]) from None
    lines = text.splitlines()
    problems = []
    entities = data.get("entities")
    if isinstance(entities, dict):
        problems = [
            Problem(
                f"entities.{name}.name",
                "unknown key",
                _line(lines, ("entities", name, "name")),
                f"the name stands in the header: [entities.{name}]",
            )
            for name, body in entities.items()
            if isinstance(body, dict) and "name" in body
        ]
        data["entities"] = {
            name: body | {"name": name} if isinstance(body, dict) else body for name, body in entities.items()
        }
    try:
        registry = Registry.model_validate(data)
    except ValidationError as error:
        raise RegistryError(
            file, [*problems, *(_problem(detail, lines, Registry, ()) for detail in error.errors())]
        ) from None
    problems.extend(_cross_checks(registry, lines))
    if problems:
        raise RegistryError(file, problems)
    registry._source = Source(file, tuple(lines))
    return registry


def plugin_settings(registry: Registry, name: str, model: type[_Settings]) -> _Settings:
    """Return the settings of `[plugins.NAME]` as the plugin's own model.

    Raises `RegistryError` with every problem when the model refuses them.
    """
    try:
        return model.model_validate(registry.plugins[name].settings)
    except ValidationError as error:
        problems = [
            _problem(detail, registry._source.lines, model, ("plugins", name)) for detail in error.errors()
        ]
        raise RegistryError(registry.file, problems) from None


def _cross_checks(registry: Registry, lines: Sequence[str]) -> Iterable[Problem]:
    seen_tables: dict[Any, str] = {}
    seen_paths: dict[str, str] = {}
    for name, entity in registry.entities.items():
        key = f"entities.{name}"
        if entity.table in seen_tables:
            other = seen_tables[entity.table]
            yield Problem(
                f"{key}.table",
                f"table {entity.table} already belongs to entity {other}",
                _line(lines, ("entities", name, "table")),
                "one table is one entity: remove one of the two",
            )
        seen_tables.setdefault(entity.table, name)
        if entity.path in seen_paths:
            yield Problem(
                f"{key}.path",
                f"path {entity.path!r} already belongs to entity {seen_paths[entity.path]}",
                _line(lines, ("entities", name, "path")),
                "give one of them a path of its own",
            )
        seen_paths.setdefault(entity.path, name)
        if entity.uuid.version == 5 and registry.site.namespace is None:
            yield Problem(
                f"{key}.uuid.version",
                "version 5 needs the site's namespace",
                _line(lines, ("entities", name, "uuid")),
                'set namespace = "<a UUID>" under [site], the same one at every site that is to agree',
            )
        for relation, target in entity.relations.items():
            if target.entity not in registry.entities:
                yield Problem(
                    f"{key}.relations.{relation}.entity",
                    f"no entity {target.entity!r}",
                    _line(lines, ("entities", name, "relations", relation, "entity")),
                    _did_you_mean(target.entity, registry.entities),
                )


def _problem(
    detail: ErrorDetails, lines: Sequence[str], model: type[BaseModel], prefix: tuple[str, ...]
) -> Problem:
    inner = tuple(str(part) for part in detail["loc"])
    location = prefix + inner
    key = ".".join(location)
    line = _line(lines, location)
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, inner[:-1])
        hint = _did_you_mean(location[-1], known) or (f"known keys: {', '.join(known)}" if known else None)
        return Problem(key, "unknown key", line, hint)
    if detail["type"] == "missing":
        return Problem(key, "missing", line)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:5] in ("Input", "Strin") else message
    given = detail.get("input")
    if detail["type"] not in ("value_error",) and isinstance(given, str | int | float | bool):
        message += f", not {given!r}"
    return Problem(key, message, line)


def _known_keys(model: Any, location: tuple[str, ...]) -> list[str]:
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            if part not in model.model_fields:
                return []
            model = _inner(model.model_fields[part].annotation)
        elif get_origin(model) is not None and issubclass(get_origin(model), Mapping):
            model = _inner(get_args(model)[1])
        else:
            return []
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [name for name in model.model_fields if name != "name" or model.__name__ != "Entity"]
    return []


def _inner(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation


def _did_you_mean(word: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def _line(lines: Sequence[str], location: tuple[str, ...]) -> int | None:
    """Find the line of a key, or of the nearest table around it; TOML parsers in Python keep no positions."""
    for depth in range(len(location), 0, -1):
        header = re.compile(
            r"\s*\[{1,2}\s*" + r"\s*\.\s*".join(_key(part) for part in location[:depth]) + r"\s*\]"
        )
        for number, line in enumerate(lines, start=1):
            if header.match(line):
                return _line_in_table(lines, number, location[depth:]) or number
    return _line_in_table(lines, 0, location)


def _line_in_table(lines: Sequence[str], start: int, keys: tuple[str, ...]) -> int | None:
    if not keys:
        return None
    first = re.compile(r"\s*" + _key(keys[0]) + r"\s*[.=]")
    for number, line in enumerate(lines[start:], start=start + 1):
        if line.lstrip().startswith("["):
            return None
        if first.match(line):
            return number
    return None


def _key(part: str) -> str:
    return rf"[\"']?{re.escape(part)}[\"']?"
