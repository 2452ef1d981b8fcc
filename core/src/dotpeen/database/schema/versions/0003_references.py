"""External references: which there are, the values of those beside a table, and what a rollback keeps."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 - Alembic runs online here
    connection.execute(files("dotpeen.database.schema").joinpath("0003.sql").read_text(encoding="utf-8"))
