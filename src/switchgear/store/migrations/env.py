"""Runs migrations on the connection that the store hands over. Level 2."""

from alembic import context

from switchgear.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
