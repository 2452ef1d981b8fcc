"""STEP AP242 (ISO 10303-242) for Dotpeen: CAD files read, linked, stamped and compared by UUID."""

from dotpeen_step.plugin import (
    dotpeen_api_routers,
    dotpeen_commands,
    dotpeen_digital_models,
    dotpeen_exporters,
    dotpeen_external_references,
    dotpeen_health,
    dotpeen_resolve_uuid,
    dotpeen_thread_entries,
    dotpeen_verification_checks,
)
from dotpeen_step.settings import Settings

__all__ = [
    "Settings",
    "dotpeen_api_routers",
    "dotpeen_commands",
    "dotpeen_digital_models",
    "dotpeen_exporters",
    "dotpeen_external_references",
    "dotpeen_health",
    "dotpeen_resolve_uuid",
    "dotpeen_thread_entries",
    "dotpeen_verification_checks",
]
