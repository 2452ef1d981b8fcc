"""Read and write records by any identifier."""

from dotpeen.records.async_records import AsyncRecords
from dotpeen.records.fields import Audience, Field, Identifier, Link, UuidPlace
from dotpeen.records.loading import load_shapes
from dotpeen.records.query import PageQuery
from dotpeen.records.question import Match, WireRow
from dotpeen.records.record import Batch, Page, Record, Resolution
from dotpeen.records.records import Records, Transaction
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wire_records import WireRecords
from dotpeen.records.wirepage import WirePage

__all__ = [
    "AsyncRecords",
    "Audience",
    "Batch",
    "Field",
    "Identifier",
    "Link",
    "Match",
    "Page",
    "PageQuery",
    "Record",
    "Records",
    "Resolution",
    "Shape",
    "Shapes",
    "Transaction",
    "UuidPlace",
    "WirePage",
    "WireRecords",
    "WireRow",
    "load_shapes",
]
