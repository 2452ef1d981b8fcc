"""Put the UUID fields into a team's own Prisma schema; every other byte of it stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dotpeen.errors import ConfigurationError
from dotpeen.migration.emit.prisma_field import UuidField, field_name, model_attribute, uuid_field
from dotpeen.migration.model import Reference, Target

_MODEL = re.compile(r"\s*(model|view)\s+(\w+)\s*\{")
_FIELD = re.compile(
    r"(?P<indent>\s*)(?P<name>[A-Za-z]\w*)(?P<gap>\s+)(?P<type>[A-Za-z]\w*(?:\(\"[^\"]*\"\))?)(?P<arity>\[\]|\?)?(?P<rest>.*)"
)
_STRING = r'"((?:[^"\\]|\\.)*)"'
_MAP = re.compile(rf"(?<!@)@map\(\s*(?:name:\s*)?{_STRING}")
_MODEL_MAP = re.compile(rf"@@map\(\s*(?:name:\s*)?{_STRING}")
_MODEL_SCHEMA = re.compile(rf"@@schema\(\s*(?:map:\s*)?{_STRING}")
_COMPOSITE_ID = re.compile(r"@@id\(\s*(?:fields:\s*)?\[([^\]]*)\]")


@dataclass
class _Model:
    name: str
    start: int
    """Line of `model X {`."""
    end: int = 0
    """Line of the closing brace."""
    table: str = ""
    schema: str | None = None
    fields: dict[str, int] = field(default_factory=dict)
    """Line of each field, by its name."""
    columns: dict[str, str] = field(default_factory=dict)
    """Name of each field, by its column."""
    mapped: bool = False
    id_line: int | None = None
    attributes: str = ""


def with_uuids(text: str, targets: Mapping[str, Target], *, file: str = "schema.prisma") -> str:
    """Return the schema with the UUID field of every entity that keeps its UUIDs in the table.

    Raises `ConfigurationError` when a table has no model, or a field of another type has the column.
    """
    lines = text.splitlines(keepends=True)
    models = _read(lines)
    inserted: dict[int, list[str]] = {}
    for target in targets.values():
        if target.entity.uuid.storage == "sidecar":
            continue
        model = _model_of(models, target, file)
        _change(lines, model, uuid_field(target), inserted, file)
        for one in target.declared:
            if one.storage == "column" and one.column not in model.columns:
                _add_reference(lines, model, one, inserted)
    output = []
    for number, line in enumerate(lines):
        output += [*inserted.get(-number - 1, []), line, *inserted.get(number, [])]
    return "".join(output)


def _change(
    lines: list[str], model: _Model, uuid: UuidField, inserted: dict[int, list[str]], file: str
) -> None:
    """Change or add the field; `inserted` has lines to go behind line n, or under -n-1 before it."""
    existing = model.columns.get(uuid.column)
    if existing is not None:
        number = model.fields[existing]
        lines[number] = _completed(lines[number], model, uuid, file)
        name = existing
    else:
        name, mapping = field_name(uuid.column, set(model.fields), camel=model.mapped)
        after = model.id_line if model.id_line is not None else model.start
        shape = _FIELD.match(lines[after]) if after != model.start else None
        indent = shape["indent"] if shape else "  "
        width = len(shape["name"] + shape["gap"]) if shape else 0
        attributes = " ".join(part for part in (*uuid.attributes, mapping) if part)
        start = f"{name} ".ljust(width)
        inserted.setdefault(after, []).append(f"{indent}{start}String {attributes}{_ending(lines[after])}")
    attribute = model_attribute(uuid, {**model.columns, uuid.column: name})
    if attribute is not None and uuid.index not in model.attributes:
        ending = _ending(lines[model.start])
        inserted.setdefault(-model.end - 1, []).append(f"{ending}  {attribute}{ending}")


def _add_reference(lines: list[str], model: _Model, one: Reference, inserted: dict[int, list[str]]) -> None:
    """Add an optional field behind the UUID."""
    name, mapping = field_name(one.column, set(model.fields), camel=model.mapped)
    after = model.id_line if model.id_line is not None else model.start
    shape = _FIELD.match(lines[after]) if after != model.start else None
    indent = shape["indent"] if shape else "  "
    width = len(shape["name"] + shape["gap"]) if shape else 0
    attributes = [part for part in ("@db.Uuid" if one.type == "uuid" else None, mapping) if part]
    line = " ".join([f"{indent}{f'{name} '.ljust(width)}String?", *attributes])
    inserted.setdefault(after, []).append(f"{line}{_ending(lines[after])}")


def _completed(line: str, model: _Model, uuid: UuidField, file: str) -> str:
    """Make a field that has the column already required, unique and filled."""
    ending = _ending(line)
    code = _code(line)
    comment = line[len(code) :].removesuffix(ending)
    shape = _FIELD.match(code)
    if shape is None or shape["type"] != "String" or shape["arity"] == "[]":
        raise ConfigurationError(
            f"{file}: field {shape['name'] if shape else '?'} of model {model.name} has the column {uuid.column!r}"
            " but is no String",
            hint="make it String, or name another column in the registry",
        )
    bare = code.rstrip()
    blank = code[len(bare) :].removesuffix(ending)
    if shape["arity"] == "?":
        bare = bare[: shape.end("type")] + bare[shape.end("arity") :]
    alone = re.search(rf"@@unique\(\s*(?:fields:\s*)?\[\s*{shape['name']}\s*\]", model.attributes)
    for present, attribute in (
        (re.search(r"(?<!@)@(unique|id)\b", bare) or alone, uuid.unique),
        ("@default(" in bare, uuid.default),
        ("@db." in bare, uuid.native),
    ):
        if attribute and not present:
            bare += f" {attribute}"
    return bare + blank + comment + ending


def _model_of(models: list[_Model], target: Target, file: str) -> _Model:
    table = target.table.name
    found = [model for model in models if model.table == table.name and model.schema in (None, table.schema)]
    exact = [model for model in found if model.schema == table.schema] or found
    if not exact:
        raise ConfigurationError(
            f"{file}: no model for table {table} of entity {target.entity.name}",
            hint="`npx prisma db pull` writes it; or leave the entity out with --entity",
        )
    return exact[0]


def _read(lines: list[str]) -> list[_Model]:
    models: list[_Model] = []
    model: _Model | None = None
    in_comment = False
    for number, line in enumerate(lines):
        if in_comment:
            in_comment = "*/" not in line
            continue
        code = _code(line)
        if "/*" in code:
            in_comment = "*/" not in code.split("/*", 1)[1]
            code = code.split("/*", 1)[0]
        if model is None:
            head = _MODEL.match(code)
            if head is not None:
                model = _Model(head[2], number, table=head[2])
        elif code.strip().startswith("}"):
            model.end = number
            _finish(model)
            models.append(model)
            model = None
        else:
            _read_line(model, number, code)
    return models


def _read_line(model: _Model, number: int, code: str) -> None:
    if code.strip().startswith("@@"):
        model.attributes += code
        return
    shape = _FIELD.match(code)
    if shape is None:
        return
    name = shape["name"]
    model.fields[name] = number
    mapping = _MAP.search(code)
    model.mapped = model.mapped or mapping is not None
    model.columns[_unescaped(mapping[1]) if mapping else name] = name
    if re.search(r"(?<!@)@id\b", code):
        model.id_line = number


def _finish(model: _Model) -> None:
    table, schema = _MODEL_MAP.search(model.attributes), _MODEL_SCHEMA.search(model.attributes)
    model.table = _unescaped(table[1]) if table else model.table
    model.schema = _unescaped(schema[1]) if schema else None
    composite = _COMPOSITE_ID.search(model.attributes)
    if composite and model.id_line is None:
        names = [re.sub(r"\(.*", "", part).strip() for part in composite[1].split(",")]
        known = [model.fields[name] for name in names if name in model.fields]
        model.id_line = max(known) if known else None


def _code(line: str) -> str:
    """The line without its `//` comment."""
    in_string = False
    position = 0
    while position < len(line):
        if in_string and line[position] == "\\":
            position += 1
        elif line[position] == '"':
            in_string = not in_string
        elif not in_string and line.startswith("//", position):
            return line[:position]
        position += 1
    return line


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _ending(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"
