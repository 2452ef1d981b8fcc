"""The plan as files, for teams that review or run it themselves."""

from dotpeen.migration.emit.alembic_revision import revision_file
from dotpeen.migration.emit.files import write_files
from dotpeen.migration.emit.prisma import migration_name, prisma_files
from dotpeen.migration.emit.sql_files import undo_script, up_script

__all__ = ["migration_name", "prisma_files", "revision_file", "undo_script", "up_script", "write_files"]
