"""What is made ready before the first request is what requests ask for: none of their statements is compiled again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine.interfaces import CacheStats

from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.files import InputFile, Share
from hounsfield.imaging.ingest.worker import ingest
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.retrieve.instances import find_instance, prepare_statements
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader
from hounsfield.storage.blobs.spool import SpooledFile
from support.clients.dicomweb import part10
from support.files.synthetic import slice_of, uid
from support.imaging.image_stores import new_datastore

STUDY, SERIES, INSTANCE = uid(1), uid(1, 1), uid(1, 1, 1)


@pytest.fixture(scope="module")
def datastore(image_store: ImageStore) -> str:
    """Return a data store with one instance."""
    made = new_datastore(image_store)
    receiver = Receiver(image_store, 1)
    context = receiver.context(made)
    file = part10(slice_of(number=1))
    (outcome,) = ingest(context, [Share((InputFile(0, SpooledFile(len(file), file)),), None)])
    assert not isinstance(outcome, Exception)
    assert outcome[0].instance is not None
    assert receiver.commit(context, UNLIMITED, "caller", {0: outcome[0].instance}).result().primary == {0: True}
    receiver.close()
    return made


def test_no_statement_of_a_read_is_compiled_after_prepare(image_store: ImageStore, datastore: str) -> None:
    engine = image_store.database.engine
    engine.clear_compiled_cache()
    prepare_statements(image_store)
    compiled: list[str] = []

    def note(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: Any) -> None:
        if statement != "BEGIN" and context.cache_hit is not CacheStats.CACHE_HIT:
            compiled.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        reader = DicomMetadataReader(image_store)
        series = b"".join(reader.series(UNLIMITED, datastore, STUDY, SERIES, "http://x"))
        study = b"".join(reader.study(UNLIMITED, datastore, STUDY, "http://x"))
        found = find_instance(image_store, UNLIMITED, datastore, STUDY, SERIES, INSTANCE)
        assert series == study == b"[" + reader.instance(UNLIMITED, datastore, STUDY, SERIES, INSTANCE, "http://x")[1:]
        chosen = find_instance(image_store, UNLIMITED, datastore, STUDY, SERIES, INSTANCE, found.image_set.image_set_id)
        assert chosen.key == found.key
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert compiled == []
