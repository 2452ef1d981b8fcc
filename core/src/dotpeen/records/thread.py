"""Entries of a record's digital thread as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from dotpeen.contributions import ThreadEntry
from dotpeen.records.shape import Shape


def references(shape: Shape, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the external references that a record has a value of."""
    return [
        {"source": one.source, "kind": one.name, "value": record[one.name]}
        for one in shape.identifiers
        if one.kind == "external" and record.get(one.name) is not None
    ]


def entry(plugin: str, found: ThreadEntry) -> dict[str, Any]:
    """Return an entry with the plugin that knows it; a moment is written as every other (microseconds, UTC)."""
    written: dict[str, Any] = {"source": plugin, "kind": found.kind, "value": found.value}
    if found.at is not None:
        moment = found.at.astimezone(UTC).replace(tzinfo=None)
        written["at"] = f"{moment.isoformat(timespec='microseconds')}Z"
    if found.details:
        written["details"] = dict(found.details)
    return written
