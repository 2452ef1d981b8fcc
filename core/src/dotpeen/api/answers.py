"""Envelopes, entity tags and conditional requests."""

from __future__ import annotations

import json
from binascii import hexlify
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from dotpeen.api.call import JSON, Answer, Call, Header
from dotpeen.records import WirePage

PRIVATE: Final = (b"cache-control", b"private, no-cache")
"""Kept by the client alone, and asked about each time: what a 304 is for."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def record(
    call: Call, body: bytes, *, requested: Mapping[str, str], uuid: str | None, status: int = 200
) -> Answer:
    """Answer with one record: `{"data": …, "metadata": {…}}`, or 304 if the client has it already."""
    tag = entity_tag(body)
    headers: list[Header] = [(b"etag", tag), PRIVATE]
    if call.method in ("GET", "HEAD") and matches(call.headers.get(b"if-none-match"), tag):
        return Answer(304, b"", headers, uuid=uuid, records=1)
    metadata = _ENCODER.encode({**requested, "timestamp": now()})
    whole = b'{"data":' + body + b',"metadata":' + metadata.encode() + b"}"
    return Answer(status, whole, [JSON, *headers], uuid=uuid, records=1)


def page(call: Call, found: WirePage) -> Answer:
    """Answer with a page: `{"data": […], "pagination": {…}}`."""
    pagination = json.dumps(
        {
            "total": found.total,
            "limit": found.limit,
            "offset": found.offset,
            "hasMore": found.has_more,
            "nextCursor": found.next_cursor,
        }
    )
    uuids = tuple(record.uuid for record in found.records if record.uuid is not None)
    body = b'{"data":' + array(found.rows) + b',"pagination":' + pagination.encode() + b"}"
    tag = entity_tag(body)
    if matches(call.headers.get(b"if-none-match"), tag):
        return Answer(304, b"", [(b"etag", tag), PRIVATE], records=len(found.rows), uuids=uuids)
    return Answer(200, body, [JSON, (b"etag", tag), PRIVATE], records=len(found.rows), uuids=uuids)


def array(bodies: Sequence[bytes]) -> bytes:
    """A JSON array of JSON texts."""
    return b"[" + b",".join(bodies) + b"]"


def entity_tag(body: bytes) -> bytes:
    """A strong entity tag of the representation's content (RFC 9110 8.8.3) would differ under gzip: a weak one."""
    return b'W/"%b"' % hexlify(blake2b(body, digest_size=12).digest())


def matches(condition: bytes | None, tag: bytes) -> bool:
    """Tell whether If-None-Match or If-Match names this tag (weak comparison, RFC 9110 8.8.3.2)."""
    if condition is None:
        return False
    if condition.strip() == b"*":
        return True
    return any(one.strip().removeprefix(b"W/") == tag.removeprefix(b"W/") for one in condition.split(b","))


def now() -> str:
    """The time as every timestamp of the interface is written: microseconds, UTC."""
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """Return a moment of UTC in that form."""
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"
