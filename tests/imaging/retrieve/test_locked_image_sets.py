"""Reading instances while an operation on their image set is under way, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from pydicom.dataset import Dataset

from support.clients.dicomweb import get
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of, uid
from support.imaging.retrieved import retrieved
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


@pytest.fixture
def store(own_server: ServerProcess) -> Store:
    return Store(own_server, own_server.client())


@pytest.fixture
def read(store: Store) -> Read:
    def one_slice(number: int = 1, image_set: str | None = None) -> Dataset:
        return retrieved(store.server, store.id, uid(1, 1, number), image_set=image_set).dataset()

    return one_slice


def metadata(store: Store) -> bytes:
    """Return the DICOM JSON of the series."""
    return get(store.server, store.id, f"studies/{uid(1)}/series/{uid(1, 1)}/metadata").content


@pytest.fixture
def runner(own_server: ServerProcess) -> Iterator[psutil.Process]:
    """The runner, which goes on at the end of a test that suspended it."""
    (found,) = wait_for(lambda: runners(own_server), "the runner to be up")
    yield found
    found.resume()


def test_the_version_before_is_read_until_an_update_has_ended(store: Store, read: Read, runner: psutil.Process) -> None:
    image_set = store.series(2)
    store.updated(image_set, "1", update=patient(PatientComments="one"))
    before = metadata(store)
    suspended(store.server)
    store.ask(image_set, "2", update=patient(PatientComments="two", PatientName="Doe^John"))
    assert (read().PatientComments, read().PatientName) == ("one", "Roe^Jane")
    assert metadata(store) == before
    runner.resume()
    assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
    assert (read(2).PatientComments, read(2).PatientName) == ("two", "Doe^John")
    assert b"Doe^John" in metadata(store)


def test_the_source_of_a_copy_stays_corrected_while_it_is_copied(
    store: Store, read: Read, runner: psutil.Process
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
    assert "PatientComments" not in read()
    assert retrieved(store.server, store.id, uid(1, 1, 1), image_set=copy).answer().status_code == 404
    runner.resume()
    settled(store.client, store.id, copy)
    assert "PatientComments" not in read(image_set=copy)


def test_an_import_is_no_update_while_its_set_is_copied(store: Store, read: Read, runner: psutil.Process) -> None:
    image_set = store.imported(slice_of(number=1, PatientWeight="71"))[0]
    store.imported(slice_of(number=2, PatientWeight="72"))
    suspended(store.server)
    answer = store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=image_set,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )  # fmt: skip
    assert [read(number).PatientWeight for number in (1, 2)] == [71, 72]
    runner.resume()
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    settled(store.client, store.id, copy)
    assert [read(number, copy).PatientWeight for number in (1, 2)] == [72, 72]


def test_a_set_that_is_being_deleted_is_gone(store: Store, runner: psutil.Process) -> None:
    image_set = store.series(1)
    suspended(store.server)
    deleting: Any = store.client.delete_image_set(datastoreId=store.id, imageSetId=image_set)
    assert deleting["imageSetWorkflowStatus"] == "DELETING"
    for named in (None, image_set):
        assert retrieved(store.server, store.id, uid(1, 1, 1), image_set=named).answer().status_code == 404
