"""Users, roles, access keys and policies"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def _identity_id(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("identity_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f(f"fk_{table}_identity_id"), ondelete="CASCADE"
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("boundary_arn", sa.String(length=256), nullable=True),
        sa.Column("trust_policy", sa.Text(), nullable=True),
        sa.Column("max_session_seconds", sa.Integer(), nullable=True),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("kind", "name_key", name=op.f("uq_identities_kind_name_key")),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        *_identity_id("access_keys"),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
    )
    op.create_index("ix_access_keys_identity_id", "access_keys", ["identity_id"], unique=False)
    op.create_table(
        "identity_tags",
        *_identity_id("identity_tags"),
        sa.Column("tag_key", sa.String(length=128), nullable=False),
        sa.Column("tag_value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "tag_key", name=op.f("pk_identity_tags")),
    )
    op.create_table(
        "managed_policies",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_managed_policies")),
        sa.UniqueConstraint("name_key", name=op.f("uq_managed_policies_name_key")),
    )
    op.create_table(
        "inline_policies",
        *_identity_id("inline_policies"),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "name", name=op.f("pk_inline_policies")),
    )
    op.create_table(
        "policy_attachments",
        *_identity_id("policy_attachments"),
        sa.Column("policy_arn", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "policy_arn", name=op.f("pk_policy_attachments")),
    )
    op.create_index("ix_policy_attachments_policy_arn", "policy_attachments", ["policy_arn"], unique=False)
    generation = op.create_table(
        "identity_generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_generation")),
    )
    op.bulk_insert(generation, [{"id": 1, "generation": 1}])
