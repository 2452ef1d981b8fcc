"""Semantic PMI without its STEP: a dimension, a geometric tolerance, a datum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

PmiKind: TypeAlias = Literal["dimension", "tolerance", "datum"]


@dataclass(frozen=True, slots=True)
class Pmi:
    """One item of product manufacturing information. Numbers are in `unit`; None where the file has none."""

    ref: int
    """Instance name."""
    keyword: str
    """Its entity, the parts of a complex instance joined with `+`."""
    kind: PmiKind
    type: str
    """What it says: `diameter`, `linear distance`, `angle`, `flatness`, `surface profile`, `datum feature` …"""
    name: str
    """Its own; of a size that of the feature that it is the size of."""
    value: float | None = None
    """The nominal value; of a tolerance the width or diameter of its zone."""
    upper: float | None = None
    lower: float | None = None
    limits: bool = False
    """True: `upper` and `lower` are limits of the value; False: deviations from it."""
    unit: str = ""
    """`mm`, `inch`, `degree` …; empty where the file names none."""
    fit: str = ""
    """Tolerance class of limits and fits: `H7`."""
    modifiers: tuple[str, ...] = ()
    """In the file's words, lower case: `theoretical`, `maximum material requirement`, `controlled radius`."""
    datums: tuple[str, ...] = ()
    """Datums referred to, in their order: `A`, `B(M)`, `C-D`."""
    letter: str = ""
    """What a datum, its feature or target is called: `A`, `A1`."""
    uuids: tuple[str, ...] = ()
    """Every UUID that identifies it, in the order of the file."""
    product_ref: int | None = None
    """Instance name of the PRODUCT that it belongs to."""

    @property
    def uuid(self) -> str | None:
        """Its UUID; of several the first one."""
        return self.uuids[0] if self.uuids else None
