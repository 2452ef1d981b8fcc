"""How much an exchange structure may ask of the machine that reads it.

They stop what is made to exhaust memory, not what is merely large: files of any size are read.
"""

from __future__ import annotations

from typing import Final

STATEMENT: Final = 16 * 1024**2
"""Bytes of one instance, header entity, anchor or reference: a tessellated surface of half a million points."""

DEPTH: Final = 256
"""Lists within each other in one instance. Real files have four."""

HEADER: Final = 16 * 1024**2
"""Bytes of the header section."""

NAME_DIGITS: Final = 18
"""Digits of an instance name, without leading zeros."""

NAME: Final = 10**NAME_DIGITS - 1

DATA_SECTIONS: Final = 10_000
