"""The plugins that are installed: the entry points of the group `dotpeen`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from dotpeen.errors import ConfigurationError
from dotpeen.hooks import PROJECT


def installed_plugins() -> dict[str, EntryPoint]:
    """Return them by name; imports none. Raises `ConfigurationError` when two have one name."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=PROJECT):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigurationError(
                f"two plugins are named {entry.name!r}: {other.value} and {entry.value}",
                hint="uninstall one of them",
            )
    return found
