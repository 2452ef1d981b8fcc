"""Dotpeen's own schema, `dotpeen`, under Alembic."""

from dotpeen.database.schema.upgrade import is_installed, upgrade

__all__ = ["is_installed", "upgrade"]
