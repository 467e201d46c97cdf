"""An index for every searched attribute in every order"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ORDERS = {
    "update": ["updated_at"],
    "creation": ["created_at"],
    "study_date": ["study_date", "study_time"],
}


def upgrade() -> None:
    for name in ("update", "creation", "study_date", "is_primary", "patient_id", "accession_number", "study_id"):
        op.drop_index(f"ix_image_sets_by_{name}", "image_sets")
    for name, order in _ORDERS.items():
        others = [column for other in _ORDERS.values() if other != order for column in other]
        _make(name, [*order, "id", *others])
        _make(f"is_primary_and_{name}", ["is_primary", *order, "id", *others])
        for attribute in ("patient_id", "accession_number", "study_id"):
            _make(f"{attribute}_and_{name}", [attribute, *order, "id"])


def _make(name: str, columns: list[str]) -> None:
    op.create_index(
        f"ix_image_sets_by_{name}",
        "image_sets",
        ["datastore_id", *columns],
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
