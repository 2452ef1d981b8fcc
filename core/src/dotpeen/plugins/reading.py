"""A session lent to a plugin: it can only read, not for long, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dotpeen.database import Connection

GRACE_SECONDS: Final = 0.5
"""How much longer the plugin is waited for than the database lets its statement run: so the database is first."""


@contextmanager
def only_reading(connection: Connection, seconds: float) -> Iterator[None]:
    """Lend it in a transaction, or within the one there is; whatever was done is undone."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            "SELECT pg_catalog.set_config('transaction_read_only', 'on', true),"
            " pg_catalog.set_config('statement_timeout', %s, true)",
            [str(max(1, int(seconds * 1000)))],
        )
        yield
