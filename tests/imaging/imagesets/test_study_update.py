"""An update of a whole study changes all its primary image sets or none, whichever of them fails and whatever dies between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest
from sqlalchemy import Connection, select, text, update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import Settings
from hounsfield.storage.db.job_tables import work_items
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of
from support.imaging.updates import Store, patient
from support.servers import ServerProcess, wait_for

CHANGE = patient(PatientID="P-2", PatientName="Doe^John")
TOO_OFTEN = 1_000


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    url = request.getfixturevalue("postgresql_server").new_database() if request.param == "postgresql" else ""
    return Settings(data=tmp_path_factory.mktemp("study-update") / "data", database_url=url)


@pytest.fixture(scope="module")
def own_server(settings: Settings) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_DATABASE_URL": settings.database_url, "HOUNSFIELD_LEASE_SECONDS": "2"}
    process = ServerProcess(settings.data, environment).start()
    yield process
    process.stop()


@pytest.fixture
def store(own_server: ServerProcess) -> Store:
    return Store(own_server, own_server.client())


@pytest.fixture
def image_store(store: Store, settings: Settings) -> Iterator[ImageStore]:
    opened, _ = open_image_store(settings)
    yield opened
    opened.database.close()


def _refuse_success(connection: Connection, image_set: str) -> None:
    """Let the database refuse to write one thing: the success of one image set."""
    condition = f"NEW.image_set_id = '{image_set}' AND NEW.workflow_status = 'UPDATED'"
    if connection.dialect.name == "sqlite":
        connection.execute(
            text(
                f"CREATE TRIGGER refused BEFORE UPDATE ON image_set_versions WHEN {condition} "
                "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
            )
        )
        return
    connection.execute(
        text(
            "CREATE FUNCTION refuse() RETURNS trigger AS "
            "'BEGIN RAISE EXCEPTION ''refused by the test''; END' LANGUAGE plpgsql"
        )
    )
    connection.execute(
        text(
            f"CREATE TRIGGER refused BEFORE UPDATE ON image_set_versions FOR EACH ROW WHEN ({condition}) "
            "EXECUTE FUNCTION refuse()"
        )
    )


def _allow_success(connection: Connection) -> None:
    table = "" if connection.dialect.name == "sqlite" else " ON image_set_versions"
    connection.execute(text(f"DROP TRIGGER refused{table}"))


def _states(store: Store, image_sets: list[str]) -> list[tuple[str, str, str]]:
    found = [store.get(image_set) for image_set in image_sets]
    return [(entry["versionId"], entry["imageSetState"], entry["imageSetWorkflowStatus"]) for entry in found]


def _under_way(named: str, image_sets: list[str]) -> list[tuple[str, str, str]]:
    during = {True: "UPDATING", False: "UPDATING_FOR_STUDY_CONSISTENCY"}
    return [("2", "LOCKED", during[image_set == named]) for image_set in image_sets]


@pytest.mark.parametrize(
    ("settings", "place"), [("embedded", "last"), ("postgresql", "first")], indirect=["settings"], scope="module"
)
def test_one_image_set_that_fails_rolls_all_back(store: Store, image_store: ImageStore, place: str) -> None:
    image_sets = sorted(store.imported(slice_of(1), slice_of(2), slice_of(3)))
    before = [store.document(image_set) for image_set in image_sets]
    # Siblings are written by ascending id after the one that the request names.
    named, refused = image_sets[1], image_sets[0 if place == "first" else -1]
    with image_store.database.write() as connection:
        _refuse_success(connection, refused)
    store.ask(named, "1", update=CHANGE, includeStudyImageSets=True)

    def tried_again() -> int | None:
        with image_store.database.read() as connection:
            attempts = connection.execute(select(work_items.c.attempts).where(work_items.c.subject_id == named))
            tried = int(attempts.scalar_one())
        return tried if tried > 1 else None

    wait_for(tried_again, "the update to be tried a second time")
    assert _states(store, image_sets) == _under_way(named, image_sets)

    def given_up() -> bool:
        """Make the waiting item one that was tried too often; one that is under way comes back first."""
        with image_store.database.write() as connection:
            waiting = (work_items.c.subject_id == named, work_items.c.lease_owner.is_(None))
            connection.execute(update(work_items).where(*waiting).values(attempts=TOO_OFTEN, available_at=0))
        return store.get(named)["imageSetState"] == "ACTIVE"

    wait_for(given_up, "the update to be given up")
    assert _states(store, image_sets) == [("2", "ACTIVE", "UPDATE_FAILED")] * 3
    for image_set, content in zip(image_sets, before, strict=True):
        assert store.document(image_set) == store.document(image_set, versionId="1") == content
        assert store.get(image_set)["message"].startswith("INTERNAL_ERROR")
        assert store.summary(image_set)["DICOMTags"]["DICOMPatientId"] == "P-1"
    with image_store.database.write() as connection:
        _allow_success(connection)
    store.ask(named, "2", update=CHANGE, includeStudyImageSets=True)
    for image_set in image_sets:
        store.settled(image_set)
        assert store.document(image_set)["Patient"]["DICOM"]["PatientID"] == "P-2"
    assert _states(store, image_sets) == [("3", "ACTIVE", "UPDATED")] * 3


@contextmanager
def _row_held(url: str, image_set: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT id FROM image_sets WHERE id = %s FOR UPDATE", (image_set,))
        yield


def _somebody_waits(url: str) -> bool:
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        found = connection.execute(query).fetchone()
        return found is not None and found[0] > 0


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True, scope="module")
def test_a_runner_killed_between_two_image_sets_leaves_nothing_half_done(store: Store, settings: Settings) -> None:
    """The runner is stopped where it has written the first image sets and waits for the row of the last one."""
    image_sets = sorted(store.imported(slice_of(1), slice_of(2), slice_of(3)))
    named, last = image_sets[0], image_sets[-1]
    before = store.document(named)
    runner = suspended(store.server)
    store.ask(named, "1", update=CHANGE, includeStudyImageSets=True)
    with _row_held(settings.database_url, last):
        runner.resume()
        wait_for(lambda: _somebody_waits(settings.database_url), "the runner to wait for the row")
        runner.kill()
        runner.wait(120)
        assert _states(store, image_sets) == _under_way(named, image_sets)
        assert store.document(named, versionId="1") == before
    for image_set in image_sets:
        store.settled(image_set)
        assert store.document(image_set)["Patient"]["DICOM"]["PatientID"] == "P-2"
    assert _states(store, image_sets) == [("2", "ACTIVE", "UPDATED")] * 3


def test_a_server_killed_with_a_study_locked_ends_the_update_after_its_next_start(store: Store) -> None:
    image_sets = sorted(store.imported(slice_of(1), slice_of(2)))
    runner = suspended(store.server)
    store.ask(image_sets[0], "1", update=CHANGE, includeStudyImageSets=True)
    assert store.server.process is not None
    family = psutil.Process(store.server.process.pid).children(recursive=True)
    store.server.process.kill()
    store.server.process.wait()
    runner.kill()
    # What of them still answered would be taken for the next server.
    assert psutil.wait_procs(family, timeout=120)[1] == []
    store.server.start()
    store.client = store.server.client()
    for image_set in image_sets:
        store.settled(image_set)
        assert store.document(image_set)["Patient"]["DICOM"]["PatientID"] == "P-2"
    assert _states(store, image_sets) == [("2", "ACTIVE", "UPDATED")] * 2
    assert {entry["ImageSetWorkflowStatus"] for entry in store.versions(image_sets[1])} == {"UPDATED", "CREATED"}
