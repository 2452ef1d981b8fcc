"""The CAD model of a part as exporters of other plugins need it: its current file, and the PMI in it that has UUIDs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Final

from dotpeen.database import Connection
from dotpeen.hooks import DigitalModel, ModelEntity
from dotpeen_step.linking.files import NAME_LENGTH
from dotpeen_step.linking.installation import SCHEMA

_MOST: Final = 100_000
"""Entities of a model that are handed on: as many as the hook may name."""
# The revision that became current last; where no file gives its revision a UUID, the one that was linked last.
_CURRENT: Final = (
    "SELECT f.id, f.name, f.protocol, f.edition, l.product, l.product_id, l.product_name, l.revision_uuid::text"
    " FROM dotpeen_step.link AS l LEFT JOIN dotpeen_step.file AS f ON f.id = l.file"
    " WHERE l.part = %s::uuid AND l.unlinked_at IS NULL ORDER BY l.current_at DESC NULLS LAST, l.id DESC LIMIT 1"
)
# What is a UUID in a file and not the item's own identifies nothing; nor does PMI of another product of an assembly.
_ITEMS: Final = (
    "SELECT i.uuid::text, i.name, CASE WHEN min(i.keyword) = max(i.keyword) THEN min(i.keyword) ELSE '' END"
    " FROM dotpeen_step.item AS i WHERE i.file = %(file)s AND i.kind = 'pmi'"
    " AND i.carrier NOT IN ('reference', 'property')"
    " AND (%(product)s::bigint IS NULL OR i.product = %(product)s::bigint)"
    " GROUP BY i.uuid, i.name ORDER BY 1, 2 LIMIT %(limit)s"
)
_PROTOCOLS: Final = {"AP203": "STEPAP203", "AP214": "STEPAP214", "AP242": "STEPAP242"}
_log = logging.getLogger(__name__)


def models_of(connection: Connection, part: str) -> Sequence[DigitalModel]:
    """Return the model that is a part's current revision; none where only its UUID is known, and no file.

    Raises `ConfigurationError` where the role may not read the links.
    """
    if not SCHEMA.installed(connection):
        return ()
    row = connection.execute(_CURRENT, [part]).fetchone()
    if row is None or row[0] is None:
        return ()
    file, file_name, protocol, edition, product, product_id, product_name, uuid = row
    # A file that came from Windows keeps its folders in its name here.
    name = PureWindowsPath(file_name).name or file_name
    return [
        DigitalModel(
            name=(product_name or "").strip() or (product_id or "").strip() or name,
            file_name=name,
            format=_format(protocol, edition),
            uuid=uuid,
            entities=_entities(connection, file, product, name),
        )
    ]


def _entities(connection: Connection, file: int, product: int | None, name: str) -> tuple[ModelEntity, ...]:
    parameters = {"file": file, "product": product, "limit": _MOST + 1}
    rows = connection.execute(_ITEMS, parameters).fetchall()
    if len(rows) > _MOST:
        _log.warning(
            "%s has more than %d dimensions and tolerances with UUIDs: none is handed on", name, _MOST
        )
        return ()
    # A name that may have been cut when it was kept is not what the model says, letter by letter.
    return tuple(
        ModelEntity(uuid, "pmi", called if len(called) < NAME_LENGTH else "", keyword)
        for uuid, called, keyword in rows
    )


def _format(protocol: str | None, edition: int | None) -> str:
    found = _PROTOCOLS.get(protocol or "", "STEP")
    return f"{found}E2" if found == "STEPAP203" and edition == 2 else found
