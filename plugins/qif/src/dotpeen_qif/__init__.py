"""QIF (ISO 23952:2020) for Dotpeen: plans and results out and in."""

from dotpeen_qif.plugin import (
    dotpeen_commands,
    dotpeen_exporters,
    dotpeen_health,
    dotpeen_importers,
    dotpeen_resolve_uuid,
    dotpeen_thread_entries,
)
from dotpeen_qif.settings import Settings

__all__ = [
    "Settings",
    "dotpeen_commands",
    "dotpeen_exporters",
    "dotpeen_health",
    "dotpeen_importers",
    "dotpeen_resolve_uuid",
    "dotpeen_thread_entries",
]
