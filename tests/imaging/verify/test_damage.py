"""Every kind of damage, each to an image set of its own, is named by one pass: where it is, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, delete, select, update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import open_levels, seal_levels
from hounsfield.settings import load_settings
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind, pack_name, read_contents, read_records
from hounsfield.storage.db.image_set_tables import frame_runs, image_set_versions, image_sets, instances
from hounsfield.storage.db.study_tables import studies, study_words
from hounsfield.storage.db.tag_table import image_set_tags
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of, uid
from support.identities.users import command
from support.imaging.import_folders import primaries_by_series
from support.servers import ServerProcess, active_datastore

TWO_DAYS_AGO = time.time() - 2 * 24 * 3600
STUDY = 100
"""Number of the first study; each damage has one."""


@dataclasses.dataclass
class Victim:
    """An image set with two instances, which lie in one pack, and what can be done to it."""

    image_store: ImageStore
    data: Path
    datastore_id: str
    image_set_id: str
    connection: Connection
    expected: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def rows(self) -> list[Any]:
        own = instances.c.image_set_id == self.image_set_id
        return list(self.connection.execute(select(instances).where(own).order_by(instances.c.sop_uid)))

    @property
    def pack_id(self) -> str:
        return str(self.rows[0].fragment_pack_id)

    @property
    def pack(self) -> Path:
        return self.data / "blobs" / pack_name(self.datastore_id, self.pack_id)

    @property
    def key(self) -> Any:
        return fetch_key(self.image_store, get_datastore(self.image_store, self.datastore_id))

    def run(self, number: int) -> Any:
        own = frame_runs.c.source_key == self.rows[number].source_key
        return self.connection.execute(select(frame_runs).where(own)).one()

    def flip(self, offset: int) -> None:
        data = bytearray(self.pack.read_bytes())
        data[offset] ^= 1
        self.pack.write_bytes(data)

    def set(self, table: Any, *where: Any, **values: Any) -> None:
        assert self.connection.execute(update(table).where(*where).values(**values)).rowcount > 0

    def remove(self, table: Any, *where: Any) -> None:
        assert self.connection.execute(delete(table).where(*where)).rowcount > 0

    def expect(self, kind: str, *, instance: int | None = None, frame: int = 0, pack: str = "") -> None:
        where = {"datastoreId": self.datastore_id, "imageSetId": self.image_set_id, "kind": kind}
        if instance is not None:
            where["instance"] = self.rows[instance].key
        if frame:
            where["frame"] = frame
        if pack:
            where["packId"] = pack
        self.expected.append(where)

    def rewrite(self, change: Callable[[Label, bytes], bytes]) -> None:
        """Write the pack anew with other records, properly sealed, as a program that errs would."""
        contents = read_contents(self.image_store.blobs, self.key, self.pack_id)
        plain = read_records(self.image_store.blobs, self.key, [(extent, label) for label, extent in contents])
        writer = PackWriter(self.image_store.blobs, self.key)
        places = {
            label: writer.add(label, change(label, data)) for (label, _), data in zip(contents, plain, strict=True)
        }
        writer.close()
        for row in self.rows:
            fragment = places[Label(RecordKind.FRAGMENT, row.key)]
            dataset = places[Label(RecordKind.DATASET, row.key)]
            frame = places[Label(RecordKind.FRAME, row.key, 0)]
            text = change(Label(RecordKind.FRAGMENT, row.key), self._fragment(row))
            self.set(
                instances,
                instances.c.key == row.key,
                fragment_pack_id=fragment.pack_id,
                fragment_offset=fragment.offset,
                fragment_length=fragment.length,
                fragment_bytes=len(text),
                dataset_pack_id=dataset.pack_id,
                dataset_offset=dataset.offset,
                dataset_length=dataset.length,
                pixel_bytes=frame.length,
            )
            self.set(
                frame_runs,
                frame_runs.c.source_key == row.key,
                pack_id=frame.pack_id,
                first_offset=frame.offset,
                lengths=frame.length.to_bytes(4, "little"),
            )
        total = sum(row.fragment_length + row.dataset_length + row.pixel_bytes for row in self.rows)
        self.set(image_sets, image_sets.c.id == self.image_set_id, stored_bytes=total)

    def _fragment(self, row: Any) -> bytes:
        contents = read_contents(self.image_store.blobs, self.key, self.pack_id)
        label = Label(RecordKind.FRAGMENT, row.key)
        return read_records(self.image_store.blobs, self.key, [(dict(contents)[label], label)])[0]


def header(victim: Victim) -> None:
    victim.flip(20)
    victim.expect("pack-damaged", pack=victim.pack_id)


def frame(victim: Victim) -> None:
    victim.flip(victim.run(1).first_offset + 100)
    victim.expect("record-damaged", instance=1, frame=1, pack=victim.pack_id)


def fragment(victim: Victim) -> None:
    victim.flip(victim.rows[0].fragment_offset + 10)
    victim.expect("record-damaged", instance=0, pack=victim.pack_id)


def data_set(victim: Victim) -> None:
    victim.flip(victim.rows[1].dataset_offset + 10)
    victim.expect("record-damaged", instance=1, pack=victim.pack_id)


def contents(victim: Victim) -> None:
    victim.flip(victim.pack.stat().st_size - 60)
    victim.expect("pack-damaged", pack=victim.pack_id)


def trailer(victim: Victim) -> None:
    victim.flip(victim.pack.stat().st_size - 20)
    victim.expect("pack-damaged", pack=victim.pack_id)


def cut_pack(victim: Victim) -> None:
    os.truncate(victim.pack, victim.rows[1].dataset_offset + 1)
    victim.expect("pack-damaged", pack=victim.pack_id)


def cut_to_nothing(victim: Victim) -> None:
    os.truncate(victim.pack, 0)
    victim.expect("pack-damaged", pack=victim.pack_id)


def missing_pack(victim: Victim) -> None:
    victim.expect("pack-missing", pack=victim.pack_id)
    victim.pack.unlink()


def missing_instance(victim: Victim) -> None:
    victim.remove(instances, instances.c.key == victim.rows[0].key)
    victim.expect("row-missing")
    victim.expect("row-missing")
    victim.expect("row-missing")


def missing_run(victim: Victim) -> None:
    victim.expect("row-missing", instance=1)
    victim.remove(frame_runs, frame_runs.c.source_key == victim.rows[1].key)


def missing_version(victim: Victim) -> None:
    own = image_set_versions.c.image_set_id == victim.image_set_id
    victim.remove(image_set_versions, own)
    victim.expect("row-missing")


def wrong_place(victim: Victim) -> None:
    row = victim.rows[0]
    victim.set(instances, instances.c.key == row.key, fragment_offset=row.fragment_offset + 1)
    victim.expect("record-missing", instance=0, pack=victim.pack_id)
    victim.expect("record-damaged", instance=0, pack=victim.pack_id)


def wrong_run(victim: Victim) -> None:
    run = victim.run(0)
    victim.set(frame_runs, frame_runs.c.source_key == run.source_key, first_offset=run.first_offset - 1)
    victim.expect("record-missing", instance=0, frame=1, pack=victim.pack_id)
    victim.expect("record-damaged", instance=0, frame=1, pack=victim.pack_id)


def wrong_uid(victim: Victim) -> None:
    victim.set(instances, instances.c.key == victim.rows[0].key, sop_uid="1.2.3")
    victim.expect("row-wrong", instance=0)


def wrong_count(victim: Victim) -> None:
    victim.set(image_sets, image_sets.c.id == victim.image_set_id, frame_count=3)
    victim.expect("row-missing")


def wrong_membership(victim: Victim) -> None:
    victim.set(instances, instances.c.key == victim.rows[0].key, last_version=7)
    victim.expect("row-wrong", instance=0)
    for _ in range(3):
        victim.expect("row-missing")


def locked_for_ever(victim: Victim) -> None:
    own = image_set_versions.c.image_set_id == victim.image_set_id
    victim.set(image_set_versions, own, state="LOCKED", workflow_status="UPDATING")
    victim.set(image_sets, image_sets.c.id == victim.image_set_id, state="LOCKED")
    victim.expect("row-missing")


def sealed_levels(victim: Victim) -> None:
    own = image_set_versions.c.image_set_id == victim.image_set_id
    victim.set(image_set_versions, own, sealed_levels=b"x" * 64)
    victim.expect("document-wrong")


def other_levels(victim: Victim) -> None:
    own = image_set_versions.c.image_set_id == victim.image_set_id
    sealed = victim.connection.execute(select(image_set_versions.c.sealed_levels).where(own)).scalar_one()
    levels = open_levels(victim.key, victim.image_set_id, 1, sealed)
    levels.patient["PatientName"] = "Doe^John"
    victim.set(image_set_versions, own, sealed_levels=seal_levels(victim.key, victim.image_set_id, 1, levels))
    victim.expect("index-wrong")


def image_set_index(victim: Victim) -> None:
    victim.set(image_sets, image_sets.c.id == victim.image_set_id, body_part="KNEE")
    victim.expect("index-wrong")


def instance_index(victim: Victim) -> None:
    victim.set(instances, instances.c.key == victim.rows[1].key, bits_allocated=8)
    victim.expect("index-wrong", instance=1)


def missing_study(victim: Victim) -> None:
    victim.remove(studies, studies.c.image_set_id == victim.image_set_id)
    victim.expect("index-wrong")


def study_index(victim: Victim) -> None:
    victim.set(studies, studies.c.image_set_id == victim.image_set_id, patient_name_key="doe john")
    victim.expect("index-wrong")


def study_word(victim: Victim) -> None:
    study = select(studies.c.study_uid).where(studies.c.image_set_id == victim.image_set_id)
    victim.remove(study_words, study_words.c.study_uid.in_(study), study_words.c.word == "CT")
    victim.expect("index-wrong")


def tag_index(victim: Victim) -> None:
    victim.set(image_set_tags, image_set_tags.c.image_set_id == victim.image_set_id, tag_value="nobody")
    victim.expect("index-wrong")


def other_frame(victim: Victim) -> None:
    first, second = victim.rows
    first_frame, second_frame = (Label(RecordKind.FRAME, row.key, 0) for row in (first, second))
    found = dict(read_contents(victim.image_store.blobs, victim.key, victim.pack_id))
    picture = read_records(victim.image_store.blobs, victim.key, [(found[second_frame], second_frame)])[0]
    victim.rewrite(lambda label, data: picture if label == first_frame else data)
    victim.expect("frame-wrong", instance=0, frame=1, pack=victim.pack_id)


def other_document(victim: Victim) -> None:
    own = Label(RecordKind.FRAGMENT, victim.rows[1].key)

    def change(label: Label, data: bytes) -> bytes:
        if label != own:
            return data
        document = orjson.loads(data)
        document["DICOM"]["ImageType"] = ["DERIVED"]
        return orjson.dumps(document)

    victim.rewrite(change)
    victim.expect("document-wrong", instance=1)


DAMAGES = (
    header,
    frame,
    fragment,
    data_set,
    contents,
    trailer,
    cut_pack,
    cut_to_nothing,
    missing_pack,
    missing_instance,
    missing_run,
    missing_version,
    wrong_place,
    wrong_run,
    wrong_uid,
    wrong_count,
    wrong_membership,
    locked_for_ever,
    sealed_levels,
    other_levels,
    image_set_index,
    instance_index,
    missing_study,
    study_index,
    study_word,
    tag_index,
    other_frame,
    other_document,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(
        tmp_path_factory.mktemp("verify") / "data", {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1"}
    ).start()
    yield process
    process.stop()


def verified(server: ServerProcess, *options: str) -> tuple[int, dict[str, Any]]:
    result = command(server, "verify", "--json", "--processes", "1", *options)
    return result.exit_code, json.loads(result.stdout)


def places(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return where findings are, without their words."""
    return sorted(
        (
            {name: value for name, value in entry.items() if name not in {"what", "severity"}}
            for entry in report["findings"]
        ),
        key=lambda entry: json.dumps(entry, sort_keys=True),
    )


def test_each_damage_is_named_and_nothing_else(server: ServerProcess) -> None:
    client = server.client()
    datastore = active_datastore(client)
    files = [
        part10(slice_of(1, number, study=STUDY + study, pixels=noise(150, 200, seed=number)))
        for study in range(len(DAMAGES))
        for number in (1, 2)
    ]
    assert store(server, datastore, files).status_code == 200
    found = primaries_by_series(client, datastore)
    sets = [found[uid(STUDY + study), uid(STUDY + study, 1)]["imageSetId"] for study in range(len(DAMAGES))]
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    tagged = sets[DAMAGES.index(tag_index)]
    client.tag_resource(resourceArn=f"{arn}/imageset/{tagged}", tags={"Owner": "somebody"})
    code, report = verified(server)
    assert (code, report["result"], report["findings"]) == (0, "intact", [])
    assert report["checked"]["imageSets"] == len(DAMAGES)
    assert report["checked"]["frames"] == report["checked"]["instances"] == 2 * len(DAMAGES)
    server.stop()
    image_store, _ = open_image_store(load_settings({"HOUNSFIELD_DATA": str(server.data)}))
    expected: list[dict[str, Any]] = []
    with image_store.database.write() as connection:
        for damage, image_set_id in zip(DAMAGES, sets, strict=True):
            victim = Victim(image_store, server.data, datastore, image_set_id, connection)
            damage(victim)
            expected += victim.expected
    orphan = PackWriter(image_store.blobs, victim.key)
    orphan.add(Label(RecordKind.BLOB, "0" * 24), b"of nobody")
    orphan.close()
    path = server.data / "blobs" / pack_name(datastore, orphan.pack_id)
    os.utime(path, (TWO_DAYS_AGO, TWO_DAYS_AGO))
    expected.append({"datastoreId": datastore, "packId": orphan.pack_id, "kind": "orphaned-pack"})
    (server.data / "blobs" / "keys" / f"{datastore}.json").unlink()
    expected.append({"datastoreId": datastore, "kind": "key-wrong"})
    image_store.database.close()
    trail = max((server.data / "audit").glob("*-api-*.jsonl"), key=lambda file: file.stat().st_size)
    lines = trail.read_bytes().splitlines(keepends=True)
    del lines[len(lines) // 2]
    trail.write_bytes(b"".join(lines))
    expected.append({"kind": "audit-trail-wrong"})
    code, report = verified(server)
    assert (code, report["result"]) == (1, "damaged")
    assert places(report) == sorted(expected, key=lambda entry: json.dumps(entry, sort_keys=True))
    assert "Roe" not in json.dumps(report)
    assert uid(STUDY) not in json.dumps(report)
    code, report = verified(server, "--image-set", sets[DAMAGES.index(frame)])
    assert (code, [entry["kind"] for entry in report["findings"] if "imageSetId" in entry]) == (1, ["record-damaged"])
