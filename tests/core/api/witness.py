"""What stands in the tables, read past the interface, to hold its answers against."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import httpx
from psycopg import sql
from psycopg.rows import dict_row

from dotpeen.database import connect
from dotpeen.demo import sample
from dotpeen.registry import Entity, Registry

Row = Mapping[str, Any]
EXTERNAL = "/api/v1/external"
REFERENCES = {"Part": ("erpPartId", "stepAp242Uuid")}
"""Columns of other systems' identifiers that `site_build` adds and the plugins name."""

_LINKS = """
SELECT r.relname AS table, a.attname AS column, f.relname AS other
  FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.conrelid JOIN pg_class AS f ON f.oid = k.confrelid
  JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
 WHERE k.contype = 'f' AND r.relnamespace = 'public'::regnamespace AND cardinality(k.conkey) = 1
"""


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def joined(parts: Sequence[str]) -> str:
    """A composite identifier as one text."""
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def on_the_wire(value: object) -> object:
    """A value as the interface writes it."""
    match value:
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case Decimal() | UUID():
            return str(value)
        case _:
            return value


@dataclass
class Witness:
    """The records of a database."""

    url: str
    registry: Registry
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, by primary key."""
        if table not in self._rows:
            query = sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier("public", table))
            with (
                connect(self.url, purpose="test") as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                self._rows[table] = cursor.execute(query).fetchall()
        return self._rows[table]

    def row(self, entity: Entity, number: int = 0) -> dict[str, Any]:
        return self.rows(entity.table.name)[number]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every primary key of every table: what no partner may ever see."""
        return frozenset(str(row["id"]) for table in sample.TABLES for row in self.rows(table))

    @cached_property
    def links(self) -> dict[str, dict[str, str]]:
        """The other table of each foreign key, by table and column."""
        found: dict[str, dict[str, str]] = {table: {} for table in sample.TABLES}
        with connect(self.url, purpose="test") as connection:
            for table, column, other in connection.execute(_LINKS).fetchall():
                found[table][column] = other
        return found

    def entity_of(self, table: str) -> Entity | None:
        return next((one for one in self.registry.entities.values() if one.table.name == table), None)

    def outside(self, entity: Entity, column: str) -> str | None:
        """What a partner calls a column; None for one that is not for partners."""
        other = self.links[entity.table.name].get(column)
        if other is None:
            return None if column in entity.primary_key else column
        return re.sub("Id$", "Uuid", column) if self.entity_of(other) else None

    def outside_value(self, entity: Entity, row: Row, column: str) -> object:
        """What a partner sees of a column's value."""
        other = self.links[entity.table.name].get(column)
        if other is None or row[column] is None:
            return on_the_wire(row[column])
        target = next(one for one in self.rows(other) if one["id"] == row[column])
        return str(target["persistentUuid"])

    def external(self, entity: Entity, row: Row) -> dict[str, object]:
        """The record as partners are to see it."""
        columns = [*entity.business_id, *entity.expose, *REFERENCES.get(entity.name, ())]
        found: dict[str, object] = {"persistentUuid": str(row["persistentUuid"])}
        for column in columns:
            name = self.outside(entity, column)
            if column in row and name is not None:
                found[name] = self.outside_value(entity, row, column)
        return found

    def internal(self, row: Row) -> dict[str, object]:
        """The record as the site's own applications are to see it."""
        return {name: on_the_wire(value) for name, value in row.items()}

    def identifiers(self, entity: Entity, row: Row, *, external: bool) -> list[tuple[tuple[str, str], ...]]:
        """Each declared identifier of a record, as the names of its parts with their values."""
        found: list[tuple[tuple[str, str], ...]] = [(("persistentUuid", str(row["persistentUuid"])),)]
        if not external:
            found.append((("id", row["id"]),))
        if entity.business_id:
            parts = []
            for column in entity.business_id:
                name = (self.outside(entity, column) or "") if external else column
                value = self.outside_value(entity, row, column) if external else row[column]
                parts.append((name, str(value)))
            found.append(tuple(parts))
        found += [
            ((column, str(row[column])),)
            for column in REFERENCES.get(entity.name, ())
            if row.get(column) is not None
        ]
        return found


_DATABASE_WORDS = re.compile(
    r"syntax error|psycopg|sqlstate|relation \"|\bLINE 1|invalid input|ERROR:|DETAIL:|HINT:|Traceback|\.py\b|pg_catalog"
    r"|violates|constraint|int_max_str_digits|operator does not|unterminated|search_path"
)


def refused(answer: httpx.Response | Raw, *status: int, sent: str = "") -> Any:
    """The problem document of an answer, which must be one, with nothing in it that is nobody's business."""
    code = answer.status if isinstance(answer, Raw) else answer.status_code
    body = answer.body if isinstance(answer, Raw) else answer.content
    assert code in status, (code, body[:500])
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert (problem["status"], bool(problem["title"]), bool(problem["error"])) == (code, True, True)
    assert problem["detail"]
    said = json.dumps(
        {name: value for name, value in problem.items() if name not in ("identifier", "provided")}
    )
    if sent:
        said = said.replace(json.dumps(sent)[1:-1], "…")
    assert not _DATABASE_WORDS.findall(said), said
    return problem


@dataclass(frozen=True)
class Raw:
    """An answer to a request that was sent as it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    url: str,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Raw:
    """Send a request without anything in between that would tidy its path."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Raw(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
