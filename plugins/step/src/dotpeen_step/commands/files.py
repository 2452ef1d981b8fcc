"""The argument that names a STEP file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def is_named(file: Path) -> Path:
    """Return the file. Raises `typer.BadParameter` for `-`: a file is read more than once, standard input is not."""
    if file == Path("-") and not file.exists():
        raise typer.BadParameter("standard input is not read: name a file")
    return file


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A STEP file.", callback=is_named)]
