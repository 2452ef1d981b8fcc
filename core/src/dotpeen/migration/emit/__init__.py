"""The plan as files, for teams that review or run it themselves: psql scripts, an Alembic revision, a Prisma migration."""

from dotpeen.migration.emit.alembic_revision import revision_file
from dotpeen.migration.emit.files import write_files
from dotpeen.migration.emit.sql_files import undo_script, up_script

__all__ = ["revision_file", "undo_script", "up_script", "write_files"]
