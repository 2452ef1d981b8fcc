"""Put persistent UUIDs into STEP files, and leave every other byte as it is."""

from dotpeen_step.stamping.errors import CollisionError, NoProductError, StampError
from dotpeen_step.stamping.matching import Wanted
from dotpeen_step.stamping.plan import CARRIERS, StampPlan, plan_stamps
from dotpeen_step.stamping.stamp import stamp

__all__ = [
    "CARRIERS",
    "CollisionError",
    "NoProductError",
    "StampError",
    "StampPlan",
    "Wanted",
    "plan_stamps",
    "stamp",
]
