"""The schema of the plugin's own tables: made by the first link."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from dotpeen.database import PluginSchema

SCHEMA: Final = PluginSchema(
    "dotpeen_step",
    steps=(files("dotpeen_step.linking").joinpath("store.sql"),),
    keeps="links of CAD files to parts are kept",
    maker="the first link",
    distribution="dotpeen-step",
    writes=("SELECT", "INSERT", "UPDATE", "DELETE"),
)
