"""The migration engine: from a registry to verified, permanent UUIDs on live tables."""

from dotpeen.migration.model import Finding, Lock, Plan, Stage, Step
from dotpeen.migration.rollback import down
from dotpeen.migration.runner import Runner
from dotpeen.migration.verification import Check

__all__ = ["Check", "Finding", "Lock", "Plan", "Runner", "Stage", "Step", "down"]
