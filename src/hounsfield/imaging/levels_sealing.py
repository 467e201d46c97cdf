"""The patient, study and series values of an image set version, as its row has them: encrypted."""

from __future__ import annotations

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.storage.keys.data_key import DataKey


def seal_levels(key: DataKey, image_set_id: str, version: int, levels: Levels) -> bytes:
    """Encrypt the levels of one version."""
    return key.seal(levels.to_json(), f"levels:{image_set_id}:{version}")


def open_levels(key: DataKey, image_set_id: str, version: int, sealed: bytes) -> Levels:
    """Decrypt the levels of one version."""
    return Levels.from_json(key.open(sealed, f"levels:{image_set_id}:{version}"))
