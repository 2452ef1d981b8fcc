"""Which application protocol, and which edition of it, a file declares in FILE_SCHEMA."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Edition: TypeAlias = Literal[1, 2, 3, 4]

_AP242_PART: Final = 442
"""The number of AP242's module in object identifiers, in place of 242."""
_PROTOCOLS: Final = (
    ("AP242_", "AP242"),
    ("AP242", "AP242"),
    ("MANAGED_MODEL_BASED_3D_ENGINEERING", "AP242"),
    ("AUTOMOTIVE_DESIGN", "AP214"),
    ("AP214", "AP214"),
    ("CONFIG_CONTROL_DESIGN", "AP203"),
    ("CCD_CLA_", "AP203"),
    ("AP203", "AP203"),
    ("AP209", "AP209"),
    ("STRUCTURAL_ANALYSIS_DESIGN", "AP209"),
    ("AP210", "AP210"),
    ("AP238", "AP238"),
    ("INTEGRATED_CNC_SCHEMA", "AP238"),
    ("AP239", "AP239"),
    ("ASSOCIATIVE_DRAUGHTING", "AP202"),
    ("EXPLICIT_DRAUGHTING", "AP201"),
    ("SHIP_", "AP215"),
    ("FURNITURE_CATALOG", "AP236"),
    ("ENGINEERING_PROPERTIES", "AP235"),
    ("PROCESS_PLANNING_SCHEMA", "AP240"),
)
_NAME: Final = re.compile(r"\s*([^{\s]*)")
_IDENTIFIER: Final = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class SchemaInfo:
    """One schema of FILE_SCHEMA (ISO 10303-21, 8.2.4)."""

    raw: str
    """The text as it stands in the file."""
    name: str
    """The schema's name, in capitals and without the object identifier."""
    oid: tuple[str, ...]
    """The parts of the object identifier, as written: `1 0 10303 442 4.0757 1 4`; empty where there is none."""
    protocol: str | None
    """`AP242`, `AP214`, `AP203` and so on; None where the name tells none."""
    edition: Edition | None
    """Of AP242; None for another protocol, and where the object identifier doesn't tell."""
    prototype: bool
    """The edition's number has decimals: written before the edition was published."""

    @property
    def said(self) -> str:
        """What it is, for people: `AP242 edition 4 (prototype)`."""
        if self.protocol is None:
            return self.name
        if self.edition is None:
            return self.protocol
        return f"{self.protocol} edition {self.edition}" + (" (prototype)" if self.prototype else "")


def read_schema(raw: str) -> SchemaInfo:
    """Read one text of FILE_SCHEMA; whatever it holds, there is an answer."""
    found = _NAME.match(raw)
    name = found.group(1).upper() if found is not None else ""
    identifier = _IDENTIFIER.search(raw)
    oid = tuple(identifier.group(1).split()) if identifier is not None else ()
    protocol = next((protocol for start, protocol in _PROTOCOLS if name.startswith(start)), None)
    edition, prototype = _edition(oid) if protocol == "AP242" else (None, False)
    return SchemaInfo(raw, name, oid, protocol, edition, prototype)


def _edition(oid: tuple[str, ...]) -> tuple[Edition | None, bool]:
    """Return the edition of AP242 in `1 0 10303 442 N 1 4`, and whether N has decimals.

    N is the version of the schema: 1 and 2 are of edition 1, 3 and 4 of 2, 5 and 6 of 3, 7 of 4; prototypes of
    edition 4 have 4.0757. Components may be written with names: `iso(1) standard(0) …`.
    """
    numbers = [_number(component) for component in oid]
    if len(numbers) < 5 or numbers[2:4] != ["10303", str(_AP242_PART)]:
        return None, False
    version = numbers[4]
    if re.fullmatch(r"[0-9]{1,3}", version, re.ASCII):
        return _PUBLISHED.get(int(version)), False
    if re.fullmatch(r"4\.[0-9]+", version, re.ASCII):
        return 4, True
    return None, False


_PUBLISHED: Final[dict[int, Edition]] = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4}


def _number(component: str) -> str:
    """Return `442` of `442` and of `part(442)`."""
    found = re.fullmatch(r"[A-Za-z][\w-]*\(([0-9.]+)\)", component, re.ASCII)
    return component if found is None else found.group(1)
