"""Partners, their tokens, the audit trail, rate limits, and the switch of the external REST interface."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 - Alembic runs online here
    connection.execute(files("dotpeen.database.schema").joinpath("0002.sql").read_text(encoding="utf-8"))
