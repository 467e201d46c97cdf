"""Texts with a zero character are refused on the embedded database as on PostgreSQL (`tests/system/test_postgresql.py`)."""

from __future__ import annotations

from typing import Any

from support.files.synthetic import slice_of
from support.imaging.stored_series import imported
from support.requests.zero_characters import check_zeros_are_refused
from support.servers import ServerProcess


def test_texts_with_a_zero_character_are_refused(server: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(server, client, datastore, slice_of())
    check_zeros_are_refused(server, client, datastore, image_set)
