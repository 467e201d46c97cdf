"""Alembic's entry point: migrate over the connection that the caller gives."""

from alembic import context

from hounsfield.storage.db import (  # noqa: F401 - their tables are part of the metadata
    audit_tables,
    iam_tables,
    job_tables,
    study_tables,
)
from hounsfield.storage.db.image_set_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=False,
)
context.run_migrations()
