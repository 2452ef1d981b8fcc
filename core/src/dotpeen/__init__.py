"""Permanent UUIDs for the records of live manufacturing databases."""

from importlib.metadata import version

from dotpeen.errors import DotpeenError
from dotpeen.registry import Entity, Registry, load_registry

__version__ = version("dotpeen")

__all__ = ["DotpeenError", "Entity", "Registry", "__version__", "load_registry"]
