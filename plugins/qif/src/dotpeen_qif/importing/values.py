"""What the columns of new and changed records hold: expressions over the rows `s` of a temporary table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from dotpeen.records import Field
from dotpeen_qif.importing.choices import Choices
from dotpeen_qif.importing.targets import AND, COMMA, Role, Target, Targets, typed

_NAME: Final = (
    "coalesce(s.said ->> 'name', s.said -> 'attributes' ->> 'name',"
    " CASE WHEN s.state = 'new' THEN s.name END)"
)
"""A record that the file has no name for keeps the one it has."""
_STAGED: Final[Mapping[Role, Mapping[str, str]]] = {
    "part": {name: f"s.{name}" for name in ("number", "name", "revision", "description")},
    "order": {"number": "s.number"},
    "serial": {"number": "s.serial", "lot": "s.lot"},
    "plan": {"number": "s.number", "version": "s.version", "name": _NAME},
    "characteristic": {
        "name": _NAME,
        **{name: f"s.{name}" for name in ("number", "kind", "balloon", "unit")},
        **{
            name: f"CASE WHEN s.state = 'new' OR '{name}' <> ALL (s.filled) THEN s.{name} * s.ratio END"
            for name in ("nominal", "upper", "lower")
        },
    },
}
"""Settings to what the files say of them."""
LINKS: Final[Mapping[Role, tuple[Role, ...]]] = {
    "order": ("part",),
    "serial": ("part",),
    "plan": ("part",),
    "characteristic": ("plan",),
}
"""The roles that records refer to, by columns such as `part_uuid` of the temporary table."""


def said(target: Target) -> dict[str, sql.Composable]:
    """Return column to what the files say of it, NULL where they say nothing; without links, fillers and keys."""
    found: dict[str, sql.Composable] = {}
    for name, expression in _STAGED[target.role].items():
        field = target.columns.get(name)
        if field is not None:
            found[field.column] = typed(field, sql.SQL(expression))
    for field in target.source.attributes:
        value = sql.SQL("s.said -> 'attributes' ->> {}").format(sql.Literal(field.column))
        found.setdefault(field.column, typed(field, value))
    return found


def linked(target: Target) -> dict[str, sql.Composable]:
    """Return the columns of links to the columns of the rows that they lead to, aliased by role: see `joins`."""
    found: dict[str, sql.Composable] = {}
    for role in LINKS.get(target.role, ()):
        link = target.links.get(role)
        if link is None:
            continue
        for field, reference in zip(link.columns, link.references, strict=True):
            found[field.column] = sql.Identifier(role, reference)
    return found


def joins(target: Target, targets: Targets) -> sql.Composable:
    """Join the rows that are linked to."""
    parts: list[sql.Composable] = [
        sql.SQL(" LEFT JOIN {} ON {}").format(
            targets[role].rows(role), targets[role].has_uuid(sql.Identifier("s", f"{role}_uuid"), role)
        )
        for role in LINKS.get(target.role, ())
        if role in target.links
    ]
    return sql.Composed(parts)


def inserted(target: Target, choices: Choices) -> dict[str, sql.Composable]:
    """Return every column of a new record to its value."""
    found = {**said(target), **linked(target)}
    for column, expression in fillers(target, choices).items():
        known = found.get(column)
        found[column] = expression if known is None else sql.SQL("coalesce({}, {})").format(known, expression)
    return found


def fillers(target: Target, choices: Choices) -> dict[str, sql.Composable]:
    """Return the values of columns for which documents have none: what the settings say, and the time of day."""
    found: dict[str, sql.Composable] = {}
    for column in choices.touched:
        field = target.shape.fields.get(column)
        if field is not None and field.kind in ("timestamp", "timestamptz"):
            found[column] = typed(field, sql.SQL("pg_catalog.now()"))
    for column, value in choices.fill.get(target.entity, {}).items():
        found[column] = typed(target.shape.fields[column], sql.Literal(value))
    for name, field in target.shape.fields.items():
        # A default is what the database has for a value that isn't given, and a NULL is given.
        if name in found or not field.default or field.nullable or field.generated or field.primary:
            continue
        default = target.defaults.get(name)
        if default is not None:
            found[name] = sql.SQL("{}").format(sql.SQL(default))
    return found


def lacking_value(target: Target, field: Field) -> str:
    """Say that a column has to have a value, and where it can come from."""
    name = next((name for name, column in target.columns.items() if column.column == field.column), "")
    hint = f"; [plugins.qif.imports.fill.{target.entity}] can have one for new records"
    if (target.role, name) == ("result", "at"):
        hint = "; --option at=2026-03-01T08:00:00 says when for all"
    elif (target.role, name) == ("serial", "number"):
        hint = "; --option unnamed=yes gives it its UUID for one"
    elif (target.role, name) == ("part", "number"):
        hint = "; --option part=NUMBER says which part documents are about that name none"
    elif name in ("number", "version"):
        # What people know it by: the same for all would be wrong for all.
        hint = ""
    return f"the file has no value for {field.column}{hint}"


def differs(target: Target, *, columns: Mapping[str, sql.Composable]) -> sql.Composable:
    """The record `t` holds something else than the files say."""
    if not columns:
        return sql.SQL("false")
    return sql.SQL("({})").format(
        sql.SQL(" OR ").join(
            sql.SQL("({value} IS NOT NULL AND {column} IS DISTINCT FROM {value})").format(
                value=value, column=sql.Identifier("t", name)
            )
            for name, value in columns.items()
        )
    )


def both(columns: Mapping[str, sql.Composable]) -> sql.Composable:
    """What the record `t` and the files say of columns, where it isn't the same: a list for `concat_ws`."""
    said = [
        sql.SQL(
            "CASE WHEN {value} IS NOT NULL AND {column} IS DISTINCT FROM {value}"
            " THEN pg_catalog.format({said}, {value}, coalesce({column}::text, 'nothing')) END"
        ).format(
            value=value,
            column=sql.Identifier("t", name),
            said=sql.Literal(f"{name.replace('%', '%%')} is %s in the file and %s in the MES"),
        )
        for name, value in columns.items()
    ]
    return sql.SQL(", ").join(said) if said else sql.SQL("NULL")


def changes(columns: Mapping[str, sql.Composable]) -> sql.Composable:
    """What becomes of the columns of the record `t`, as one text."""
    said: list[sql.Composable] = [
        sql.SQL(
            "CASE WHEN {value} IS NOT NULL AND {column} IS DISTINCT FROM {value}"
            " THEN pg_catalog.format({said}, coalesce({column}::text, 'nothing'), {value}) END"
        ).format(
            value=value,
            column=sql.Identifier("t", name),
            said=sql.Literal(f"{name.replace('%', '%%')}: %s → %s"),
        )
        for name, value in columns.items()
    ]
    return sql.SQL("pg_catalog.concat_ws(', ', {})").format(COMMA.join(said or [sql.SQL("NULL")]))


def paired(pairs: Mapping[str, sql.Composable]) -> sql.Composable:
    """`column = value` for each, for UPDATE; a value that isn't said leaves the column as it is."""
    return sql.SQL(", ").join(
        sql.SQL("{} = coalesce({}, {})").format(sql.Identifier(name), value, sql.Identifier("t", name))
        for name, value in pairs.items()
    )


def all_of(*conditions: sql.Composable) -> sql.Composable:
    """Join conditions with AND."""
    return AND.join(conditions)
