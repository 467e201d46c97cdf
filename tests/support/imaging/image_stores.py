"""An image store without a server, for tests of what no operation shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.datastores import SETTLE_DATASTORE, DatastoreSettler, NewDatastore, create_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import load_settings
from hounsfield.storage.identifiers import new_id


@pytest.fixture(scope="module")
def image_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStore]:
    """An image store in a data folder of its own."""
    opened, _ = open_image_store(load_settings({"HOUNSFIELD_DATA": str(tmp_path_factory.mktemp("image-store"))}))
    yield opened
    opened.database.close()


def new_datastore(image_store: ImageStore) -> str:
    """Make a data store that is ACTIVE, and return its id."""
    made = create_datastore(image_store, NewDatastore(new_id())).id
    settle(image_store)
    return made


def settle(image_store: ImageStore, *, give_up: bool = False) -> None:
    """Do the work that data stores wait for, or give it up."""
    settler = DatastoreSettler(image_store)
    while (item := image_store.queue.claim([SETTLE_DATASTORE], "test")) is not None:
        (settler.give_up if give_up else settler.run)(item)
