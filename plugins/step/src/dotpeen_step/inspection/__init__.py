"""What a STEP file says about identity: products, assembly, UUIDs and what they identify, and what is wrong."""

from dotpeen_step.inspection.carriers import Carrier, Kind
from dotpeen_step.inspection.findings import Finding, Rule, Severity
from dotpeen_step.inspection.inspect import Inspection, inspect
from dotpeen_step.inspection.products import Product, Usage
from dotpeen_step.inspection.schema import SchemaInfo, read_schema
from dotpeen_step.inspection.uuids import UuidOccurrence, Uuids

__all__ = [
    "Carrier",
    "Finding",
    "Inspection",
    "Kind",
    "Product",
    "Rule",
    "SchemaInfo",
    "Severity",
    "Usage",
    "UuidOccurrence",
    "Uuids",
    "inspect",
    "read_schema",
]
