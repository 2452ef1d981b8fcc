"""Read ISO 10303-21 exchange structures (STEP files), editions 1 to 3, in flat memory and with byte offsets."""

from dotpeen_step.part21.anchors import Anchor, External
from dotpeen_step.part21.errors import Part21Error, Part21FileError, Part21LimitError
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.header import Header
from dotpeen_step.part21.instance import Instance
from dotpeen_step.part21.sections import DataSection, Section
from dotpeen_step.part21.values import (
    DERIVED,
    OMITTED,
    Absent,
    Binary,
    Enumeration,
    OccurrenceName,
    Reference,
    Resource,
    Typed,
    Value,
)

__all__ = [
    "DERIVED",
    "OMITTED",
    "Absent",
    "Anchor",
    "Binary",
    "DataSection",
    "Enumeration",
    "External",
    "Header",
    "Instance",
    "OccurrenceName",
    "Part21Error",
    "Part21File",
    "Part21FileError",
    "Part21LimitError",
    "Reference",
    "Resource",
    "Section",
    "Typed",
    "Value",
]
