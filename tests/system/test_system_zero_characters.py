"""Texts with a zero character are refused on the embedded database as on PostgreSQL (`test_system_postgresql.py`)."""

from __future__ import annotations

from typing import Any

from stored_series import imported

from servers import ServerProcess
from support.zero_characters import check_zeros_are_refused
from synthetic import slice_of


def test_texts_with_a_zero_character_are_refused(server: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(server, client, datastore, slice_of())
    check_zeros_are_refused(server, client, datastore, image_set)
