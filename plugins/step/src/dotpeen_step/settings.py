"""The settings of `[plugins.step]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dotpeen_step.exporting.columns import PartColumns


class Settings(BaseModel):
    """What may stand under `[plugins.step]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part_number: str | None = None
    """The column of parts that PRODUCT.id is compared with; without: the business identifier, if it is one column."""
    part: PartColumns = PartColumns()
    """What exported files say of a part beside its number and its UUID."""
    partner_links: bool = True
    """Partners with the scope `Part:write` may link and unlink."""
    max_upload: Annotated[int, Field(ge=1024)] = 268_435_456
    """Bytes of a file that is sent over REST."""
    upload_dir: Path | None = None
    """Where such a file is while it is read; without: the system's folder for temporary files."""
    upload_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that such a file may be read and linked for, once it is there."""
    max_readers: Annotated[int, Field(ge=1, le=16)] = 2
    """Such files that one process of the server reads at a time; more are told to come again."""
