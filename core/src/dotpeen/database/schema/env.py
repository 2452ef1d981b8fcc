"""Alembic's environment: run on the connection handed over, keep the version table in schema `dotpeen`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="dotpeen",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
