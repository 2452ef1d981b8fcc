"""QIF (ISO 23952:2020) for Dotpeen. So far: settings and health."""

from dotpeen_qif.plugin import Settings, dotpeen_health

__all__ = ["Settings", "dotpeen_health"]
