"""The setting `part` of `[plugins.step]`: which columns of parts are what in a STEP file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _nothing(value: object) -> object:
    return None if value == "" else value


Column = Annotated[str | None, BeforeValidator(_nothing)]


class PartColumns(BaseModel):
    """Columns of parts; `""` says that there is no such column. `part_number` is PRODUCT.id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Column = None
    """PRODUCT.name; without it the part number."""
    revision: Column = None
    """PRODUCT_DEFINITION_FORMATION.id."""
    description: Column = "description"
    """PRODUCT.description."""
    attributes: tuple[str, ...] = ("materialType",)
    """Columns that become user-defined attributes, under their own names."""
