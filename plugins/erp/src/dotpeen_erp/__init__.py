"""ERP synchronisation by UUID, for Dotpeen. So far: the external reference `erpPartId`, and health."""

from dotpeen_erp.plugin import Settings, dotpeen_external_references, dotpeen_health

__all__ = ["Settings", "dotpeen_external_references", "dotpeen_health"]
