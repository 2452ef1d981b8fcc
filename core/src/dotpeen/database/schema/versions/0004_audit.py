"""The records that pages and batches gave away, and refusals that are summed up."""

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add to the audit trail what it did not say."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 - Alembic runs online here
    connection.execute(files("dotpeen.database.schema").joinpath("0004.sql").read_text(encoding="utf-8"))
