"""Reading instances while an operation on their image set is under way, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom.dataset import Dataset

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.instance_order import find_series
from hounsfield.imaging.retrieve.instances import find_image_set, find_instance
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader
from hounsfield.settings import Settings
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of, uid
from support.imaging.rebuilt_files import rebuilt
from support.imaging.stored_series import settled
from support.imaging.updates import Store, patient
from support.processes import runners
from support.servers import ServerProcess, wait_for

Read = Callable[..., Dataset]


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose runner may be stopped."""
    environment = {}
    if request.param == "postgresql":
        environment["HOUNSFIELD_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    process = ServerProcess(tmp_path_factory.mktemp("rebuild-locked") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def image_store(own_server: ServerProcess) -> Iterator[ImageStore]:
    url = own_server.environment.get("HOUNSFIELD_DATABASE_URL", "")
    opened, _ = open_image_store(Settings(data=Path(own_server.data), database_url=url))
    yield opened
    opened.database.close()


@pytest.fixture(scope="module")
def folders() -> Iterator[str]:
    return (f"rebuild-locked-{number}" for number in itertools.count())


@pytest.fixture
def store(own_server: ServerProcess, folders: Iterator[str]) -> Store:
    return Store(own_server, own_server.client(), folders)


@pytest.fixture
def read(image_store: ImageStore, store: Store) -> Read:
    def rebuilt_slice(number: int = 1, image_set: str | None = None) -> Dataset:
        return rebuilt(
            image_store,
            find_instance(image_store, UNLIMITED, store.id, uid(1), uid(1, 1), uid(1, 1, number), image_set),
        )

    return rebuilt_slice


@pytest.fixture
def runner(own_server: ServerProcess) -> Iterator[psutil.Process]:
    """The runner, which goes on at the end of a test that suspended it."""
    (found,) = wait_for(lambda: runners(own_server), "the runner to be up")
    yield found
    found.resume()


def test_the_version_before_is_read_until_an_update_has_ended(
    store: Store, image_store: ImageStore, read: Read, runner: psutil.Process
) -> None:
    image_set = store.series(2)
    store.updated(image_set, "1", update=patient(PatientComments="one"))
    reader = DicomMetadataReader(image_store)
    arguments = (UNLIMITED, store.id, uid(1), uid(1, 1), "http://host")
    before = b"".join(reader.series(*arguments))
    suspended(store.server)
    store.ask(image_set, "2", update=patient(PatientComments="two", PatientName="Doe^John"))
    assert find_image_set(image_store, UNLIMITED, store.id, uid(1), uid(1, 1)).version == 2
    assert (read().PatientComments, read().PatientName) == ("one", "Roe^Jane")
    assert b"".join(reader.series(*arguments)) == before
    runner.resume()
    assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
    assert (read(2).PatientComments, read(2).PatientName) == ("two", "Doe^John")
    assert b"Doe^John" in b"".join(reader.series(*arguments))


def test_the_source_of_a_copy_stays_corrected_while_it_is_copied(
    store: Store, image_store: ImageStore, read: Read, runner: psutil.Process
) -> None:
    """Its version does not tell then that an update made it."""
    image_set = store.imported(slice_of(number=1, PatientComments="wrong"), slice_of(number=2))[0]
    store.updated(image_set, "1", remove=patient(PatientComments=""))
    suspended(store.server)
    answer = store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=image_set,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )  # fmt: skip
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    assert answer["sourceImageSetProperties"]["imageSetWorkflowStatus"] == "COPYING_WITH_READ_ONLY_ACCESS"
    assert find_image_set(image_store, UNLIMITED, store.id, uid(1), uid(1, 1)).updates == (2,)
    assert "PatientComments" not in read()
    with pytest.raises(NotFoundError):
        read(image_set=copy)
    runner.resume()
    settled(store.client, store.id, copy)
    assert "PatientComments" not in read(image_set=copy)


def test_an_import_is_no_update_while_its_set_is_copied(
    store: Store, image_store: ImageStore, read: Read, runner: psutil.Process
) -> None:
    image_set = store.imported(slice_of(number=1, PatientWeight="71"))[0]
    store.imported(slice_of(number=2, PatientWeight="72"))
    suspended(store.server)
    answer = store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=image_set,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )  # fmt: skip
    assert find_image_set(image_store, UNLIMITED, store.id, uid(1), uid(1, 1)).updates == ()
    assert [read(number).PatientWeight for number in (1, 2)] == [71, 72]
    runner.resume()
    settled(store.client, store.id, answer["destinationImageSetProperties"]["imageSetId"])
    copied = find_series(
        image_store, UNLIMITED, store.id, uid(1), uid(1, 1), answer["destinationImageSetProperties"]["imageSetId"]
    )
    assert [rebuilt(image_store, found).PatientWeight for found in copied] == [72, 72]


def test_a_set_that_is_being_deleted_is_gone(store: Store, read: Read, runner: psutil.Process) -> None:
    image_set = store.series(1)
    suspended(store.server)
    deleting: Any = store.client.delete_image_set(datastoreId=store.id, imageSetId=image_set)
    assert deleting["imageSetWorkflowStatus"] == "DELETING"
    with pytest.raises(NotFoundError):
        read()
    with pytest.raises(NotFoundError):
        read(image_set=image_set)
