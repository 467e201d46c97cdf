"""Tables of work items, import jobs and client tokens.

import_jobs ─▶ import_files
client_tokens: what was asked for twice is done once
work_items: what a runner has to do, taken under a lease

Columns `available_at`, `since`, `ended_steady` and those of client tokens have the time of the installation
(`hounsfield.storage.db.steady_clock`), all others the wall clock's.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from hounsfield.storage.db.image_set_tables import metadata

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("account_id", String(12), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("token", String(64), nullable=False),
    Column("parameters_digest", String(64), nullable=False),
    Column("resource_id", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("account_id", "operation", "token"),
)

import_jobs = Table(
    "import_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("datastore_id", String(32), ForeignKey("datastores.id"), nullable=False),
    Column("name", String(64)),
    Column("status", String(16), nullable=False),
    Column("data_access_role_arn", String(2048), nullable=False),
    Column("role_id", String(128)),
    Column("starter_rights", Text),
    Column("input_uri", String(1024), nullable=False),
    Column("output_uri", String(1200), nullable=False),
    Column("input_owner_account_id", String(12)),
    Column("metadata_mappings", Text),
    Column("message", String(2048)),
    Column("submitted_at", BigInteger, nullable=False),
    Column("scanned_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("ended_steady", BigInteger),
    Column("imported_files", Integer),
    Column("failed_files", Integer),
    Index("ix_import_jobs_list", "datastore_id", "submitted_at", "id"),
    Index("ix_import_jobs_status", "datastore_id", "status"),
)

import_files = Table(
    "import_files",
    metadata,
    Column("job_id", String(32), ForeignKey("import_jobs.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", Text),
    Column("outcome", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error_type", String(64)),
    Column("message", Text),
    Column("sealed_instance", LargeBinary),
    PrimaryKeyConstraint("job_id", "ordinal"),
)

work_items = Table(
    "work_items",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject_id", String(32), nullable=False),
    Column("available_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False, server_default="0"),
    Column("lease_owner", String(64)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Index("ix_work_items_available", "available_at"),
    UniqueConstraint("kind", "subject_id"),
)
