"""Semantic PMI of AP242 files: dimensions, geometric tolerances, datums."""

from dotpeen_step.inspection.pmi.collector import PmiCollector, read_pmi
from dotpeen_step.inspection.pmi.model import Pmi, PmiKind

__all__ = ["Pmi", "PmiCollector", "PmiKind", "read_pmi"]
