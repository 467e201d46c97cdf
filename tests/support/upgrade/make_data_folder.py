"""Make a data folder with an earlier version of the server, and record what that version answers about it.

Run it with the Python of that version's environment, and the tests of today::

    git worktree add /tmp/earlier 3d65919 && make -C /tmp/earlier install
    PYTHONPATH=tests /tmp/earlier/.venv/bin/python -m support.upgrade.make_data_folder tests/system/upgrade/3d65919.tar.xz

All patients and pixels are made up here.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, RLELossless, SecondaryCaptureImageStorage

from support.clients.dicomweb import part10, store, updated
from support.files.synthetic import noise, save, slice_of, uid
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.upgrade.answers import answers

ROWS, COLUMNS = 24, 20


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "data").start()
        try:
            users = _fill(server)
            found = answers(server, users)
        finally:
            server.stop()
        # The last process that closes the embedded database puts its write-ahead log into it.
        _command(server, "user", "list")
        recorded = Path(folder) / "answers.json"
        recorded.write_text(json.dumps({"users": users, "answers": found}, indent=1, sort_keys=True))
        with tarfile.open(target, "w:xz", preset=9) as archive:
            archive.add(recorded, "answers.json")
            archive.add(server.data, "data", filter=_ours)


def _ours(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out who made it, and what only a running server has."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member if member.isfile() or member.isdir() else None


def _fill(server: ServerProcess) -> dict[str, tuple[str, str]]:
    client = server.client()
    clinic = active_datastore(client, datastoreName="clinic", tags={"site": "north"})
    shared = active_datastore(client, datastoreName="shared", losslessStorageFormat="JPEG_2000_LOSSLESS")
    deleted = active_datastore(client, datastoreName="deleted")
    client.delete_datastore(datastoreId=deleted)

    for number, dataset in enumerate(_files()):
        save(dataset, server.bucket("input") / "study" / f"{number}.dcm")
    (server.bucket("input") / "study" / "notes.txt").write_text("not DICOM")
    server.bucket("output")
    _imported(client, clinic, "study")
    # The same series with another patient: it contradicts, and is not primary.
    save(slice_of(1, 1, pixels=_pixels(1), PatientID="P-2"), server.bucket("input") / "other" / "1.dcm")
    _imported(client, clinic, "other")
    assert store(server, clinic, [part10(slice_of(7, 1, study=2, pixels=_pixels(7)))]).status_code == 200
    assert store(server, shared, [part10(slice_of(1, 1, study=3, pixels=_pixels(8)))]).status_code == 200
    assert store(server, shared, [part10(slice_of(1, 1, study=4, pixels=_pixels(9)))]).status_code == 200

    sets = {_series_of(entry): entry["imageSetId"] for entry in _primary(client, clinic)}
    ct, cine, secondary = sets[uid(1, 1)], sets[uid(1, 2)], sets[uid(1, 3)]
    edit = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "ROE^JANE^Q"}}}
    updated(client, clinic, ct, edit)
    instance = {"SchemaVersion": 1.1, "Study": {"Series": {uid(1, 2): {"Instances": {}}}}}
    instance["Study"]["Series"][uid(1, 2)]["Instances"][uid(1, 2, 1)] = {"DICOM": {"ImageComments": "a note"}}
    updated(client, clinic, cine, instance)
    client.copy_image_set(
        datastoreId=clinic,
        sourceImageSetId=cine,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )
    client.delete_image_set(datastoreId=clinic, imageSetId=secondary)
    _settled(client, clinic)
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{clinic}/imageset/{ct}"
    client.tag_resource(resourceArn=arn, tags={"ward": "7", "reviewed": "yes"})
    return _users(server, shared)


def _users(server: ServerProcess, shared: str) -> dict[str, tuple[str, str]]:
    """Make a user who reads everything, and one who sees the image sets that bear her name."""
    client = server.client()
    store_arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{shared}"
    actions = ["medical-imaging:Get*", "medical-imaging:Search*"]
    condition = {"StringEquals": {"aws:ResourceTag/referrer": "${aws:username}"}}
    own_studies = [
        {"Effect": "Allow", "Action": actions, "Resource": store_arn},
        {"Effect": "Allow", "Action": actions, "Resource": f"{store_arn}/imageset/*", "Condition": condition},
    ]
    _command(server, "user", "create", "reader", "--tag", "team=north")
    _command(server, "policy", "attach", "AWSHealthImagingReadOnlyAccess", "--user", "reader")
    _command(server, "user", "create", "eve")
    policy = json.dumps({"Version": "2012-10-17", "Statement": own_studies})
    _command(server, "policy", "put", "own-studies", "-", "--user", "eve", given=policy)
    first = min(entry["imageSetId"] for entry in _primary(client, shared))
    client.tag_resource(resourceArn=f"{store_arn}/imageset/{first}", tags={"referrer": "eve"})
    keys = {}
    file = server.data.parent / "keys.credentials"
    for user in ("reader", "eve"):
        _command(server, "key", "create", user, "--profile", user, "--credentials-file", str(file))
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(file)
        keys[user] = (parser[user]["aws_access_key_id"], parser[user]["aws_secret_access_key"])
    wait_for(lambda: all(_let_in(server, key, shared) for key in keys.values()), "the users to be let in")
    return keys


def _let_in(server: ServerProcess, key: tuple[str, str], datastore: str) -> bool:
    client = server.client(key=key)
    try:
        client.search_image_sets(datastoreId=datastore, searchCriteria={})
    except client.exceptions.ClientError:
        return False
    return True


def _files() -> list[Dataset]:
    """Return two CT slices, a cine, and one file for each way in which pixels are kept."""
    colour = np.stack([_pixels(seed, "u1") for seed in (4, 5, 6)], axis=-1)
    secondary = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"}
    run_length = slice_of(4, 1, pixels=_pixels(4), **secondary)
    run_length.compress(RLELossless, generate_instance_uid=False)
    grey = _pixels(5, "u2") % 4096
    lossless = slice_of(5, 1, pixels=grey, BitsStored=12, HighBit=11, **secondary)
    _encapsulated(lossless, JPEGLosslessSV1, imagecodecs.jpeg8_encode(grey, lossless=True, bitspersample=16))
    lossy = slice_of(6, 1, pixels=colour[..., 0], **secondary)
    lossy.SamplesPerPixel, lossy.PhotometricInterpretation, lossy.PlanarConfiguration = 3, "YBR_FULL_422", 0
    lossy.LossyImageCompression = "01"
    lossy.Rows, lossy.Columns = colour.shape[:2]
    _encapsulated(lossy, JPEGBaseline8Bit, imagecodecs.jpeg8_encode(colour, 90))
    report = slice_of(8, 1, Modality="SR")
    for keyword in ("PixelData", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"):
        delattr(report, keyword)
    return [
        *(slice_of(1, number, pixels=_pixels(number)) for number in (1, 2)),
        slice_of(2, 1, pixels=np.stack([_pixels(seed) for seed in range(5)])),
        slice_of(3, 1, pixels=_pixels(3), **secondary),
        run_length,
        lossless,
        lossy,
        report,
    ]


def _pixels(seed: int, dtype: str = "<i2") -> Any:
    return noise(ROWS, COLUMNS, seed=seed).astype(dtype)


def _encapsulated(dataset: Dataset, syntax: str, frame: bytes) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"


def _imported(client: Any, datastore: str, folder: str) -> None:
    job = finished_job(client, datastore, start_import(client, datastore, f"s3://input/{folder}"))
    assert job["jobStatus"] == "COMPLETED", job


def _primary(client: Any, datastore: str) -> list[dict[str, Any]]:
    found = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    return [entry for entry in found if entry["isPrimary"]]


def _series_of(entry: dict[str, Any]) -> str:
    return str(entry["DICOMTags"]["DICOMSeriesInstanceUID"])


def _settled(client: Any, datastore: str) -> None:
    """Wait until no image set is being changed."""

    def settled() -> bool:
        found = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
        states = [client.get_image_set(datastoreId=datastore, imageSetId=entry["imageSetId"]) for entry in found]
        return all(state["imageSetState"] == "ACTIVE" for state in states)

    wait_for(settled, "the changes to end")


def _command(server: ServerProcess, *words: str, given: str | None = None) -> None:
    """Run a command of the version that makes the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HOUNSFIELD_"))}
    command = [sys.executable, "-m", "hounsfield", *words, "--data", str(server.data)]
    subprocess.run(command, env=environment, input=given, text=True, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
