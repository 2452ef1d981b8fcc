"""SQLModel classes for the registered entities, made on demand from what the tables are.

For queries that the questions of `Records` don't cover. They read and write whole tables, internal ids and all: never
hand one to a partner.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast
from uuid import UUID

from pydantic import ConfigDict, create_model
from sqlalchemy import Column, FetchedValue, ForeignKeyConstraint, MetaData, types
from sqlalchemy.dialects import postgresql
from sqlmodel import Field as ModelField
from sqlmodel import SQLModel

from dotpeen.records.fields import Field, Kind
from dotpeen.records.shape import Shape

_PYTHON: Final[dict[Kind, Any]] = {
    "text": str,
    "integer": int,
    "numeric": Decimal,
    "float": float,
    "boolean": bool,
    "uuid": UUID,
    "timestamp": datetime,
    "timestamptz": datetime,
    "date": date,
    "json": Any,
    "bytea": bytes,
    "enum": str,
    "other": Any,
}


def models(shapes: Mapping[str, Shape]) -> Mapping[str, type[SQLModel]]:
    """Return a SQLModel class for each entity, with metadata of their own.

    Attributes are the columns; one that is no name in Python, or SQLModel's own, gets an underscore for what doesn't
    fit (`model.__table__.c` has every column by its name). Links between the entities are foreign keys.
    """
    metadata = MetaData()
    return {name: _model(shape, shapes, metadata) for name, shape in shapes.items()}


def _model(shape: Shape, shapes: Mapping[str, Shape], metadata: MetaData) -> type[SQLModel]:
    attributes: dict[str, Any] = {}
    for field in shape.fields.values():
        name = _attribute(field.column, attributes)
        optional = field.nullable or field.default or field.primary
        kind: Any = _python(field)
        attributes[name] = (
            kind | None if optional and kind is not Any else kind,
            _column(field, optional=optional),
        )
    keys = [
        ForeignKeyConstraint(
            [field.column for field in link.columns],
            [f"{link.place.table.schema}.{link.place.table.name}.{column}" for column in link.references],
        )
        for link in shape.links.values()
        # SQLAlchemy splits the name of what is referred to at its points.
        if link.entity in shapes and "." not in "".join([*link.place.table, *link.references])
    ]
    base = type(
        f"{shape.entity.name}Base",
        (SQLModel,),
        {
            "__module__": __name__,
            "metadata": metadata,
            "__tablename__": shape.table.name,
            "__table_args__": (*keys, {"schema": shape.table.schema}),
            "model_config": ConfigDict(arbitrary_types_allowed=True, protected_namespaces=()),
        },
    )
    created: Any = create_model(
        shape.entity.name, __base__=base, __module__=__name__, __cls_kwargs__={"table": True}, **attributes
    )
    return cast("type[SQLModel]", created)


def _attribute(column: str, taken: Mapping[str, object]) -> str:
    name = re.sub(r"\W", "_", column)
    if not name or name[0].isdigit():
        name = f"c_{name}"
    name = name.lstrip("_") or "c"
    while name in taken or keyword.iskeyword(name) or hasattr(SQLModel, name):
        name += "_"
    return name


def _column(field: Field, *, optional: bool) -> Any:
    column: Column[Any] = Column(
        field.column,
        _type(field),
        primary_key=field.primary,
        nullable=field.nullable,
        # The database fills it in; what it made is read back.
        server_default=FetchedValue() if field.default else None,
        autoincrement=False,
    )
    return ModelField(default=None, sa_column=column) if optional else ModelField(sa_column=column)


def _python(field: Field) -> Any:
    if field.kind == "array":
        return list[Any]
    if field.kind == "enum":
        return Literal[field.labels]
    return _PYTHON[field.kind]


def _type(field: Field) -> types.TypeEngine[Any]:
    if field.kind == "array":
        return postgresql.ARRAY(_scalar(field, field.element or "other"))
    return _scalar(field, field.kind)


def _scalar(field: Field, kind: Kind) -> types.TypeEngine[Any]:
    match kind:
        case "text" if field.type.startswith("character("):
            return types.CHAR(field.length)
        case "text" if field.length is not None:
            return types.String(field.length)
        case "integer":
            return {2: types.SmallInteger(), 4: types.Integer(), 8: types.BigInteger()}[field.bytes]
        case "numeric":
            return types.Numeric(asdecimal=True)
        case "float":
            return types.REAL() if field.bytes == 4 else types.Double()
        case "boolean":
            return types.Boolean()
        case "uuid":
            return types.Uuid()
        case "timestamp" | "timestamptz":
            return postgresql.TIMESTAMP(timezone=kind == "timestamptz", precision=None)
        case "date":
            return types.Date()
        case "json":
            return postgresql.JSONB() if "jsonb" in field.type else postgresql.JSON()
        case "bytea":
            return types.LargeBinary()
        case "enum":
            schema, name = _qualified(field.type)
            return postgresql.ENUM(*field.labels, name=name, schema=schema, create_type=False)
        case _:
            return types.Text() if kind == "text" else types.NullType()


def _qualified(type_name: str) -> tuple[str | None, str]:
    """Take `schema."Type"` apart, as `format_type` writes it."""
    parts = [
        quoted.replace('""', '"') or plain
        for quoted, plain in re.findall(r'"((?:[^"]|"")+)"|([^".\[\]]+)', type_name)
    ]
    return (parts[0], parts[1]) if len(parts) > 1 else (None, parts[0])
