"""Alembic's entry point: migrate over the connection that the caller gives."""

from alembic import context

from hounsfield.storage import audit_tables, identity_tables, job_tables, study_tables  # noqa: F401 - their tables are part of the metadata
from hounsfield.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=False,
)
context.run_migrations()
