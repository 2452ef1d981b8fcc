"""What a partner writes with the generated client; prints what it found as JSON."""

from __future__ import annotations

import json
import os
from datetime import date
from uuid import UUID

from dotpeen_client import AuthenticatedClient
from dotpeen_client.api.all_entities import resolve_uuid
from dotpeen_client.api.material_lot import list_material_lots
from dotpeen_client.api.part import batch_parts, get_part, get_part_by_part_number, list_parts
from dotpeen_client.models import (
    MaterialLotExternalOrder,
    MaterialLotExternalPage,
    PartExternalAnswer,
    PartExternalBatch,
    PartExternalPage,
    PartResolution,
    Problem,
    ResolutionAnswer,
    UuidBatch,
)
from dotpeen_client.types import UNSET, Unset

client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_TOKEN"])
unknown = UUID("f81d4fae-7dec-41d0-a765-00a0c91e6bf6")

# A list, filtered and sorted, page by page.
listed: list[str | Unset] = []
cursor: str | Unset = UNSET
while True:
    page = list_material_lots.sync(
        client=client,
        status=["AVAILABLE", "CONSUMED"],
        received_at_gte=date(2000, 1, 1),
        sort=[MaterialLotExternalOrder.LOT_NUMBER_DESCENDING],
        limit=2,
        cursor=cursor,
    )
    assert isinstance(page, MaterialLotExternalPage), page
    listed += [lot.lot_number for lot in page.data]
    if page.pagination.next_cursor is None:
        break
    cursor = page.pagination.next_cursor

# One record, by UUID and by what people call it.
parts = list_parts.sync(client=client, limit=3)
assert isinstance(parts, PartExternalPage)
uuids = [part.persistent_uuid for part in parts.data if isinstance(part.persistent_uuid, UUID)]
one = get_part.sync(uuids[0], client=client)
assert isinstance(one, PartExternalAnswer)
assert isinstance(one.data.part_number, str)
again = get_part_by_part_number.sync(one.data.part_number, client=client)
assert isinstance(again, PartExternalAnswer)

# Many at once, and the one that is not there.
batch = batch_parts.sync(client=client, body=UuidBatch(uuids=[*uuids, unknown]))
assert isinstance(batch, PartExternalBatch)

# Which entity it is decides about the type of the record.
resolved = resolve_uuid.sync(uuids[0], client=client)
assert isinstance(resolved, ResolutionAnswer)
assert isinstance(resolved.data, PartResolution)

# What is not there is a problem, typed.
missing = get_part.sync_detailed(unknown, client=client)
assert isinstance(missing.parsed, Problem)

print(
    json.dumps(
        {
            "listed": listed,
            "one": one.data.to_dict(),
            "again": again.data.to_dict(),
            "batch": [str(part.persistent_uuid) for part in batch.data],
            "notFound": [str(uuid) for uuid in batch.not_found_uuids],
            "number": resolved.data.record.part_number,
            "status": missing.status_code,
            "problem": missing.parsed.type_,
            "uuid": missing.parsed.uuid,
        }
    )
)
