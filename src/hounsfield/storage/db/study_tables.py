"""Tables of studies and of the words of their names, for DICOMweb searches."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from hounsfield.storage.db.image_set_tables import metadata

IN_CODE_ORDER = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared by code points, as SQLite does it, so that a prefix is a range of an index."""


studies = Table(
    "studies",
    metadata,
    Column("datastore_id", String(32), ForeignKey("datastores.id"), nullable=False),
    Column("study_uid", IN_CODE_ORDER, nullable=False),
    Column("image_set_id", String(32), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("patient_id", IN_CODE_ORDER, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("patient_name_key", IN_CODE_ORDER, nullable=False),
    Column("patient_birth_date", IN_CODE_ORDER, nullable=False),
    Column("patient_birth_time", IN_CODE_ORDER, nullable=False),
    Column("patient_sex", Text, nullable=False),
    Column("study_id", IN_CODE_ORDER, nullable=False),
    Column("study_description", IN_CODE_ORDER, nullable=False),
    Column("study_date", IN_CODE_ORDER, nullable=False),
    Column("study_time", IN_CODE_ORDER, nullable=False),
    Column("accession_number", IN_CODE_ORDER, nullable=False),
    Column("referring_physician", Text, nullable=False),
    Column("referring_physician_key", IN_CODE_ORDER, nullable=False),
    Column("timezone_offset", Text, nullable=False),
    Column("modalities", Text, nullable=False),
    Column("series_count", Integer, nullable=False),
    Column("instance_count", Integer, nullable=False),
    PrimaryKeyConstraint("datastore_id", "study_uid"),
)
"""A study of at least one primary image set; its values are those of ``image_set_id``, the one changed last.

Names are there as they are written and, as ``*_key``, as they are compared (`hounsfield.dicom.values.person_names`). Modalities
are separated by backslashes.
"""
STUDY_INDEXES = (
    "patient_id",
    "patient_name_key",
    "patient_birth_date",
    "study_id",
    "study_description",
    "study_date",
    "accession_number",
    "referring_physician_key",
)
"""Searched attributes of studies with an index of their own, in which the order of studies is kept too."""
Index("ix_studies_by_update", studies.c.datastore_id, studies.c.updated_at, studies.c.study_uid)
# Studies found by words are put in order without reading their rows, which are far apart.
Index("ix_studies_by_study_uid", studies.c.datastore_id, studies.c.study_uid, studies.c.updated_at)
for _attribute in STUDY_INDEXES:
    Index(
        f"ix_studies_by_{_attribute}",
        studies.c.datastore_id,
        studies.c[_attribute],
        studies.c.updated_at,
        studies.c.study_uid,
    )

study_words = Table(
    "study_words",
    metadata,
    Column("datastore_id", String(32), ForeignKey("datastores.id"), nullable=False),
    Column("field", String(32), nullable=False),
    Column("word", IN_CODE_ORDER, nullable=False),
    Column("study_uid", IN_CODE_ORDER, nullable=False),
    PrimaryKeyConstraint("datastore_id", "field", "word", "study_uid"),
    Index("ix_study_words_study", "datastore_id", "study_uid", "field", "word"),
)
"""Words of names, and modalities, of each study; ``field`` is the column of `studies` that they are of."""
