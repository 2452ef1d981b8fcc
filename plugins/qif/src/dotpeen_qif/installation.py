"""The schema of the plugin's own tables: made by the first import, and read by who has the rights."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from dotpeen.database import PluginSchema

SCHEMA: Final = PluginSchema(
    "dotpeen_qif",
    steps=(files("dotpeen_qif").joinpath("store.sql"),),
    keeps="QIF imports keep what documents said",
    maker="the first import",
    distribution="dotpeen-qif",
)
