"""The records of the site, for commands that look parts up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dotpeen.cli.context import Context
from dotpeen.errors import DotpeenError

if TYPE_CHECKING:
    from dotpeen import Records


@contextmanager
def records_of(shared: Context) -> Iterator[Records]:
    """Yield the records of the site. Raises `DotpeenError` where a plugin failed: they would lack what it declares."""
    from dotpeen import Records

    if shared.plugins.failed:
        raise DotpeenError("; ".join(map(str, shared.plugins.failed.values())))
    with Records(shared.registry, shared.url, plugins=shared.plugins) as records:
        yield records
