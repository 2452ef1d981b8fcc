"""What partners ask for: the UUID in a body, the place in a list."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from fastapi import HTTPException, Request
from pydantic import ValidationError

from dotpeen.identifiers import read_uuid
from dotpeen_step.linking import messages

_JSON_BYTES: Final = 65_536


async def wanted_uuid(request: Request) -> str:
    pieces, size = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        size += len(piece)
        if size > _JSON_BYTES:
            raise HTTPException(413, f"such a body may have {_JSON_BYTES} bytes")
    try:
        document = json.loads(b"".join(pieces).decode("utf-8"))
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON") from None
    try:
        return str(read_uuid(messages.CadLinkRequest.model_validate(document).uuid))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise HTTPException(422, f"{where or 'body'}: {first['msg']}") from None


def moment_of(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise HTTPException(400, "cursor: this is none of ours")
    return found
