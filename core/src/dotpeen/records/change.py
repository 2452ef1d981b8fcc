"""Make and change records: names and values are checked first, the database has the last word."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import psycopg

from dotpeen.errors import (
    DotpeenError,
    InvalidValueError,
    RecordChangedError,
    RecordConflictError,
    RecordNotFoundError,
)
from dotpeen.identifiers import InvalidUuidError, new_cuid, new_cuid2, parse_uuid
from dotpeen.records import lookup, statements, values
from dotpeen.records.fields import Audience, Field, Identifier, Link, UuidPlace
from dotpeen.records.question import Ask, Question, WireRow, refusal, wire_row
from dotpeen.records.shape import Shape, Shapes

Checked: TypeAlias = list[tuple[Field, str | None] | tuple[Link, str | None]]
"""Fields and links to set, each with its value as text."""
_KEYS: Final[Mapping[str, Callable[[], str]]] = {"cuid": new_cuid, "cuid2": new_cuid2}


def detail(shape: Shape, shapes: Shapes, key: str) -> Question[WireRow]:
    """The record of a primary key, with the records it is linked to as its member `related`.

    Raises `RecordNotFoundError`.
    """
    parameters = lookup.key_parameters(shape, key)
    rows = []
    if parameters is not None:
        rows = yield Ask(statements.related(shape, shapes), parameters)
    if not rows:
        raise RecordNotFoundError(shape.entity.name, key)
    row, rest = wire_row(rows[0]), rows[0][3:]
    parts = []
    for link, body in zip(shape.links.values(), rest, strict=False):
        parts.append(json.dumps(link.name, ensure_ascii=False).encode() + b":" + (body or b"null"))
    counted = rest[len(shape.links) :]
    for number, one in enumerate(shape.incoming):
        records, more = counted[2 * number], counted[2 * number + 1]
        flag = b"true" if more == b"t" else b"false"
        label = json.dumps(one.name, ensure_ascii=False).encode()
        parts.append(b'%s:{"records":%s,"hasMore":%s}' % (label, records or b"[]", flag))
    related = b'"related":{' + b",".join(parts) + b"}}"
    head = row.body[:-1] + (b"," if len(row.body) > 2 else b"")
    return WireRow(row.uuid, head + related, row.key)


def create(shape: Shape, given: Mapping[str, object]) -> Question[WireRow]:
    """Make a record and return it as internal callers see it. Within a transaction.

    The database gives it its UUID. Raises `InvalidValueError`, `RecordConflictError`.
    """
    made = _made_key(shape, given)
    required = _required_key(shape, made)
    checked = _checked(shape, given, audience="internal", only=None, required=required)
    columns = _stamped(shape, (yield from _linked(checked)) | made)
    yield from _unused(shape, checked, key=None, audience="internal")
    names = tuple(sorted(columns))
    rows = yield Ask(statements.insert(shape, names), [columns[name] for name in names])
    key = _key_of(shape, rows)
    yield from _set_beside(shape, checked, key)
    return (yield from _again(shape, key, audience="internal"))


def update(
    shape: Shape,
    identifier: str,
    given: Mapping[str, object],
    *,
    audience: Audience,
    condition: Callable[[bytes], bool] | None = None,
    only: Collection[str] | None = None,
) -> Question[WireRow | None]:
    """Change a record and return it; None when there is none. Within a transaction.

    `identifier` is a UUID for partners, the primary key for internal callers. `condition` is asked with the record as
    it is, nobody else changing it: False raises `RecordChangedError`. `only` limits the columns that may change.
    Raises `InvalidValueError` and `RecordConflictError`, too.
    """
    if audience == "external":
        shape.require_ready()
        array = "{" + str(parse_uuid(identifier)) + "}"
        ask = Ask(statements.keyed_by_uuids(shape, audience, None, lock=True), [array])
    else:
        parameters = lookup.key_parameters(shape, identifier)
        if parameters is None:
            return None
        ask = Ask(statements.by_key(shape, audience, None, lock=True), parameters)
    # What can't be changed is said first, whether or not there is such a record.
    checked = _checked(shape, given, audience=audience, only=only, required=frozenset())
    rows = yield ask
    if not rows:
        return None
    row = wire_row(rows[0])
    if condition is not None and not condition(row.body):
        raise RecordChangedError(shape.entity.name, identifier)
    columns = yield from _linked(checked)
    if not checked:
        return row
    columns = _stamped(shape, columns)
    yield from _unused(shape, checked, key=row.key, audience=audience)
    key = lookup.key_parameters(shape, row.key) or []
    yield from _set_beside(shape, checked, key)
    if columns:
        names = tuple(sorted(columns))
        changed = yield Ask(statements.update(shape, names), [*(columns[name] for name in names), *key])
        key = _key_of(shape, changed)
    return (yield from _again(shape, key, audience=audience))


def refused(error: psycopg.Error, shape: Shape, *, audience: Audience) -> DotpeenError | None:
    """Return what the database's refusal of a change means; None for what isn't about the change.

    Its own words quote values, and never reach a partner.
    """
    constraint = error.diag.constraint_name or ""
    columns = shape.unique.get(constraint, ())
    fields = tuple(_outside(shape, column, audience) for column in columns)
    named = tuple(dict.fromkeys(field for field in fields if field))
    first = named[0] if len(named) == 1 else ""
    match error:
        case psycopg.errors.UniqueViolation() | psycopg.errors.ExclusionViolation():
            what = " and ".join(named) or "one of its values"
            return RecordConflictError(shape.entity.name, named, f"another record has the same {what}")
        case psycopg.errors.ForeignKeyViolation():
            own = {column for link in shape.links.values() for column in (f.column for f in link.columns)}
            if error.diag.table_name == shape.table.name and (set(columns) & own or columns):
                return InvalidValueError(first, "there is no such record to refer to")
            return RecordConflictError(shape.entity.name, named, "other records refer to it")
        case psycopg.errors.NotNullViolation():
            name = _outside(shape, error.diag.column_name or "", audience)
            return InvalidValueError(name or "", "must have a value")
        case psycopg.errors.CheckViolation():
            return InvalidValueError(first, "breaks a rule of the database" + _named(constraint, audience))
        case psycopg.errors.IntegrityError():
            return RecordConflictError(shape.entity.name, named, "a rule of the database refuses it")
        case psycopg.DataError():
            name = _outside(shape, error.diag.column_name or "", audience)
            return InvalidValueError(name or "", "a value is none that its column can hold")
        case psycopg.errors.ProgramLimitExceeded():
            return InvalidValueError("", "a value is too long for an index of the database")
        case psycopg.errors.FeatureNotSupported() if error.diag.source_file == "xml.c":
            return InvalidValueError("", "this database holds no XML")
    return refusal(error, shape)


def _named(constraint: str, audience: Audience) -> str:
    return f": {constraint}" if constraint and audience == "internal" else ""


def _outside(shape: Shape, column: str, audience: Audience) -> str | None:
    """What an audience calls a column; None for one that it doesn't see."""
    if audience == "internal":
        return column or None
    for name, member in shape.members[audience].items():
        if isinstance(member, Link) and column in {field.column for field in member.columns}:
            return name
        if (isinstance(member, Field) and member.column == column) or (
            isinstance(member, UuidPlace) and name == column
        ):
            return name
    return None


def _made_key(shape: Shape, given: Mapping[str, object]) -> dict[str, str | None]:
    """A primary key where neither the database nor the caller makes one."""
    make = _KEYS.get(shape.key_form or "")
    if make is None or len(shape.key) != 1 or shape.key[0].name in given:
        return {}
    return {shape.key[0].column: make()}


def _required_key(shape: Shape, made: Mapping[str, object]) -> frozenset[str]:
    """The columns of the primary key that only the caller can know."""
    if made or shape.key_form in _KEYS:
        return frozenset()
    return frozenset(field.name for field in shape.key if not field.default)


def _checked(
    shape: Shape,
    given: Mapping[str, object],
    *,
    audience: Audience,
    only: Collection[str] | None,
    required: frozenset[str],
) -> Checked:
    """Each field or link with its value as text. Raises `InvalidValueError` for the first that can't be set."""
    checked: Checked = []
    taken: dict[str, str] = {}
    references = {one.column for one in shape.references.values()}
    for name in sorted(required - set(given)):
        raise InvalidValueError(name, "must have a value: nothing else makes the key")
    for name, value in given.items():
        member = _settable(shape, name, audience=audience, only=only, required=required)
        for field in member.columns if isinstance(member, Link) else (member,):
            if field.column in taken:
                raise InvalidValueError(name, f"says the same as {taken[field.column]}: give one of the two")
            taken[field.column] = name
        if isinstance(member, Link):
            checked.append((member, _link_value(member, name, value)))
        else:
            text = values.encode(member, value)
            if text is not None and member.column in references:
                _check_reference(name, member, text)
            checked.append((member, text))
    return checked


def _check_reference(name: str, field: Field, text: str) -> None:
    """Raise `InvalidValueError` for what identifies nothing."""
    if text == "":
        raise InvalidValueError(name, "an empty text is no identifier: null takes it away")
    if text != text.strip():
        raise InvalidValueError(name, "an identifier has no blanks around it")
    if field.kind == "uuid":
        try:
            parse_uuid(text)
        except InvalidUuidError as error:
            raise InvalidValueError(name, error.reason) from None


def _settable(
    shape: Shape,
    name: str,
    *,
    audience: Audience,
    only: Collection[str] | None,
    required: frozenset[str],
) -> Field | Link:
    link = shape.links.get(name)
    member: Field | Link | None = shape.references.get(name) or shape.fields.get(name)
    if link is not None and link.ready:
        member = link
    if audience == "external":
        hidden = isinstance(member, Field) and any(member in one.columns for one in shape.links.values())
        if member is None or hidden or not member.writable:
            known = ", ".join(_writable(shape)) or "nothing"
            raise InvalidValueError(name, f"can't be changed; writable: {known}")
        return member
    if member is None:
        raise InvalidValueError(name, f"{shape.entity.name} has no such field")
    if only is not None and name not in only:
        raise InvalidValueError(name, "may not be changed here")
    columns = member.columns if isinstance(member, Link) else (member,)
    for field in columns:
        if shape.place.sidecar is None and field.column == shape.place.name:
            raise InvalidValueError(name, "the database gives each record its UUID, which never changes")
        if field.generated:
            raise InvalidValueError(name, "the database makes this value")
        if field.primary and field.name not in required:
            raise InvalidValueError(name, "the primary key is made by itself and never changes")
    return member


def _writable(shape: Shape) -> list[str]:
    linked = {field.column for link in shape.links.values() for field in link.columns}
    own = {**shape.fields, **shape.references}
    return [
        *(name for name, field in own.items() if field.writable and name not in linked),
        *(name for name, link in shape.links.items() if link.writable and link.ready),
    ]


def _link_value(link: Link, name: str, value: object) -> str | None:
    if value is None:
        if not link.nullable:
            raise InvalidValueError(name, "must have a value")
        return None
    try:
        return str(parse_uuid(str(value)))
    except ValueError as error:
        raise InvalidValueError(name, str(error)) from None


def _linked(checked: Checked) -> Question[dict[str, str | None]]:
    """The columns of the table to set: in the place of UUIDs those of the records that are meant."""
    columns: dict[str, str | None] = {}
    for member, value in checked:
        if isinstance(member, Field) and member.beside is not None:
            continue
        if isinstance(member, Field):
            columns[member.column] = value
        elif value is None:
            columns |= {field.column: None for field in member.columns}
        else:
            rows = yield Ask(statements.linked(member), [value])
            if not rows:
                raise InvalidValueError(member.external_name, f"no {member.entity} has this UUID")
            for field, text in zip(member.columns, rows[0], strict=True):
                columns[field.column] = None if text is None else text.decode()
    return columns


def _stamped(shape: Shape, columns: dict[str, str | None]) -> dict[str, str | None]:
    """With the time of the change in the column that the registry names for it, unless the caller gave one."""
    field = shape.fields.get(shape.entity.updated_at or "")
    if field is None or field.kind not in ("timestamp", "timestamptz") or field.generated:
        return columns
    # What PostgreSQL reads as the time of the transaction, in UTC as sessions of ours are: one clock for all nodes.
    return {field.column: "now"} | columns


def _unused(shape: Shape, checked: Checked, *, key: str | None, audience: Audience) -> Question[None]:
    """Look for another record that has a reference already, to name it; the database has the last word all the same.

    Nor may a reference be the UUID of another record: nobody could ask for either by it. Raises
    `RecordConflictError`.
    """
    for member, value in checked:
        if value is None or not isinstance(member, Field) or member.name not in shape.references:
            continue
        asked, parameters = [Identifier(member.name, (member,), "external")], [value]
        if shape.ready is None and values.is_uuid(value):
            asked.append(Identifier(shape.place.name, (shape.place,), "uuid"))
            parameters.append(value.lower())
        rows = yield Ask(statements.by_identifier(shape, "internal", (), tuple(asked)), parameters)
        for matched_by, other in (((row[0] or b"").decode(), wire_row(row[1:])) for row in rows):
            if other.key != key:
                # A partner is told of a record only where it asks for one.
                who = f": {other.uuid or f'key {other.key}'}" if audience == "internal" else ""
                what = f"another record has the same {member.name}"
                if matched_by != member.name:
                    what = f"what is to be its {member.name} is the {matched_by} of another record"
                raise RecordConflictError(shape.entity.name, (member.name,), f"{what}{who}")


def _set_beside(shape: Shape, checked: Checked, key: Sequence[str]) -> Question[None]:
    """Write the references that are no columns."""
    for member, value in checked:
        if isinstance(member, Field) and member.beside is not None:
            if value is None:
                yield Ask(statements.clear_beside(shape, member.beside), key)
            else:
                yield Ask(statements.set_beside(shape, member.beside), [value, *key])


def _key_of(shape: Shape, rows: list[Any]) -> list[str]:
    """The primary key of the row that was written, as parameters. Raises `RecordConflictError` if none was."""
    if not rows:
        raise RecordConflictError(shape.entity.name, (), "a rule of the database passed it over")
    key = [text.decode() for text in rows[0]]
    return [values.parse(field, text) for field, text in zip(shape.key, key, strict=True)]


def _again(shape: Shape, key: Sequence[str], *, audience: Audience) -> Question[WireRow]:
    """Read the record that was written: triggers may have changed it, and a sidecar has its UUID by now."""
    found = yield Ask(statements.by_key(shape, audience, None), key)
    if not found:
        raise RecordConflictError(shape.entity.name, (), "a rule of the database hides it")
    return wire_row(found[0])
