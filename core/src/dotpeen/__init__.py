"""Permanent UUIDs for the records of live manufacturing databases."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dotpeen.errors import DotpeenError
from dotpeen.registry import Entity, Registry, load_registry

if TYPE_CHECKING:
    from dotpeen.records import AsyncRecords, Record, Records, Transaction

__version__ = version("dotpeen")

__all__ = [
    "AsyncRecords",
    "DotpeenError",
    "Entity",
    "Record",
    "Records",
    "Registry",
    "Transaction",
    "__version__",
    "load_registry",
]


def __getattr__(name: str) -> Any:
    # Whoever only wants an error's name must not wait for pools and statements.
    if name in ("AsyncRecords", "Record", "Records", "Transaction"):
        return getattr(import_module("dotpeen.records"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
