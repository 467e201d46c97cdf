"""Tables of users, roles, access keys and policies.

    identities (users, roles) ─┬─▶ access_keys (users only)
                               ├─▶ identity_tags
                               ├─▶ inline_policies
                               └─▶ policy_attachments ─ARN─▶ managed_policies, or a policy that is built in
    explicit_datastores: where image sets must be allowed, each
    identity_generation: one number, greater after every change

Names are unique whatever their case (IAM User Guide, "IAM and AWS STS quotas"); columns called ``*_key`` hold them in lower
case for that.
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

identities = Table(
    "identities",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", String(64), nullable=False),
    Column("name_key", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("boundary_arn", String(256)),
    Column("trust_policy", Text),
    Column("max_session_seconds", Integer),
    Column("description", String(1000)),
    UniqueConstraint("kind", "name_key"),
)
"""Users (kind ``user``) and roles (kind ``role``); only roles have a trust policy, a longest session and a description."""


def _identity_id() -> Column[str]:
    return Column("identity_id", String(32), ForeignKey("identities.id", ondelete="CASCADE"), nullable=False)


access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    _identity_id(),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("status", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Index("ix_access_keys_identity_id", "identity_id"),
)

identity_tags = Table(
    "identity_tags",
    metadata,
    _identity_id(),
    Column("tag_key", String(128), nullable=False),
    Column("tag_value", String(256), nullable=False),
    PrimaryKeyConstraint("identity_id", "tag_key"),
)

managed_policies = Table(
    "managed_policies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("description", String(1000)),
    Column("document", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("name_key"),
)

inline_policies = Table(
    "inline_policies",
    metadata,
    _identity_id(),
    Column("name", String(128), nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("identity_id", "name"),
)

policy_attachments = Table(
    "policy_attachments",
    metadata,
    _identity_id(),
    Column("policy_arn", String(256), nullable=False),
    PrimaryKeyConstraint("identity_id", "policy_arn"),
    Index("ix_policy_attachments_policy_arn", "policy_arn"),
)

explicit_datastores = Table(
    "explicit_datastores",
    metadata,
    Column("datastore_id", String(32), primary_key=True),
)
"""Data stores in which the permission on the data store is not enough: each image set must be allowed too."""

identity_generation = Table(
    "identity_generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
)
"""One row, whose number every transaction that changes one of these tables increases; processes compare it with theirs."""
