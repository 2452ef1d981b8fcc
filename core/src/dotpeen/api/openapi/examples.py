"""Example values: valid for their schemas, the same each time, and never a key of a database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from dotpeen.api.problems import EXAMPLE_UUID
from dotpeen.records import Field, Link, Shape
from dotpeen.records.fields import Kind, Member, member_name

LINKED_UUID: Final = "7d444840-9dc0-41d1-b245-5ffdce74fad2"
UNKNOWN_UUID: Final = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"
TIMESTAMP: Final = "2026-01-31T12:00:00.123456Z"
ETAG: Final = 'W/"1f0c7a3b9d5e42688a1b2c3d"'
REQUEST_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CURSOR: Final = "eyJhZnRlciI6WyJQTi0xMTAwIl19"

_VALUES: Final[dict[Kind, Any]] = {
    "integer": 42,
    "float": 25.4,
    "boolean": True,
    "uuid": LINKED_UUID,
    "timestamp": TIMESTAMP,
    "timestamptz": TIMESTAMP,
    "date": "2026-01-31",
    "json": {"note": "as it is stored"},
    "bytea": "AAEC",
}


def record(shape: Shape, members: Iterable[Member]) -> dict[str, Any]:
    """A record with these members."""
    return {member_name(member): value(shape, member) for member in members}


def value(shape: Shape, member: Member) -> Any:
    """What may stand under one name."""
    if isinstance(member, Link):
        return LINKED_UUID
    if not isinstance(member, Field):
        return EXAMPLE_UUID
    if member.kind == "array":
        return [_single(shape, member, member.element or "other")]
    return _single(shape, member, member.kind)


def _single(shape: Shape, field: Field, kind: Kind) -> Any:
    if kind == "enum":
        return field.labels[0] if field.labels else "-"
    if kind == "numeric":
        scale = 4 if field.scale is None else max(field.scale, 0)
        return f"25.{'4'.ljust(scale, '0')}" if scale else "25"
    if kind in ("text", "other"):
        text = _text(shape, field)
        return text if field.length is None else text[: field.length]
    return _VALUES[kind]


def _text(shape: Shape, field: Field) -> str:
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", field.name)]
    if field.primary or any(field in link.columns for link in shape.links.values()):
        return "ckopqwooh000001la8mbi2im9"
    if field.name in shape.entity.business_id and words:
        return "".join(word[0] for word in words).upper() + "-1001"
    if words and words[-1] in ("status", "state"):
        return "ACTIVE"
    return " ".join(words).capitalize() or "Text"
