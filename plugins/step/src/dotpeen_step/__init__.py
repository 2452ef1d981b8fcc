"""STEP AP242 linked by UUID, for Dotpeen. So far: the external reference `stepAp242Uuid`, and health."""

from dotpeen_step.plugin import Settings, dotpeen_external_references, dotpeen_health

__all__ = ["Settings", "dotpeen_external_references", "dotpeen_health"]
