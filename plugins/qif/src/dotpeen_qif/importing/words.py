"""What documents say in their words, in the words of the MES: tolerances, kinds, numbers, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from dotpeen_qif.model import Characteristic
from dotpeen_qif.settings import Settings

FORMS: Final = frozenset(
    {"Flatness", "Straightness", "Circularity", "Roundness", "Cylindricity", "Sphericity", "Conicity"}
)
"""Geometric tolerances that know neither datums nor a bonus: whether a value passes follows from the zone."""


def bounds(
    one: Characteristic, *, limits: bool = False
) -> tuple[Decimal | None, Decimal | None, Decimal | None, list[str]]:
    """Return nominal, upper and lower tolerance as the MES has them, and which were filled in: the file has none.

    The MES states tolerances as deviations from a nominal, or with `limits` as limits. A geometric tolerance deviates
    from 0 by its zone at most.
    """
    filled: list[str] = []
    nominal, tolerance = one.nominal, one.tolerance
    upper = lower = None
    if nominal is None and (one.attribute or (tolerance is not None and tolerance.zone is not None)):
        nominal = Decimal(0)
        filled.append("nominal")
    if tolerance is not None and tolerance.zone is not None:
        upper, lower = tolerance.zone, Decimal(0)
    elif tolerance is not None:
        upper, lower = tolerance.upper, tolerance.lower
        if tolerance.limits:
            if nominal is None:
                # Limits alone: they deviate from 0 by what they are.
                nominal = Decimal(0)
                filled.append("nominal")
            upper = None if upper is None else upper - nominal
            lower = None if lower is None else lower - nominal
    elif one.attribute:
        upper = lower = Decimal(0)
        filled += ["upper", "lower"]
    if limits and nominal is not None:
        upper = None if upper is None else nominal + upper
        lower = None if lower is None else nominal + lower
    return nominal, upper, lower, filled


def integer(value: str | None) -> int | None:
    """Return a whole number, None for a text that is none."""
    return int(value) if value is not None and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII) else None


def words_of(settings: Settings) -> dict[str, str]:
    """Return the MES' own words for kinds of characteristics, where the settings have some."""
    return {stem: word for word, stem in reversed(list(settings.kinds.items()))}


def word_of(stem: str) -> str:
    """Return what an MES calls a kind: `SURFACE_PROFILE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).upper()


def zoned(moment: datetime | None) -> datetime | None:
    """A moment in UTC; one without a zone is taken for UTC, as QIF leaves it open."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
