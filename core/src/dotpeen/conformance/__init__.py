"""Hold a registry against the database it describes: what is missing, of another type, or can't work."""

from dotpeen.conformance.entities import conformance, contributed_columns
from dotpeen.conformance.finding import Finding, Level
from dotpeen.conformance.identifiers import overlaps

__all__ = ["Finding", "Level", "conformance", "contributed_columns", "overlaps"]
