"""The first schema: state, journal, ledger of issued UUIDs, sidecar, functions, the progress view."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 - Alembic runs online here
    connection.execute(files("dotpeen.database.schema").joinpath("0001.sql").read_text(encoding="utf-8"))
