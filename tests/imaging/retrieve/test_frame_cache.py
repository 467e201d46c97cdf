"""Frames that the server keeps in memory are, by every API, what they were, and go with their image set."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from support.clients.dicomweb import part10, root, session, store
from support.files.synthetic import slice_of, uid
from support.imaging.imports import document, frame, instances
from support.imaging.stored_frames import codestream_of
from support.imaging.stored_series import deleted
from support.servers import ServerProcess


def got(server: ServerProcess, datastore: str, sop: str, accept: str) -> requests.Response:
    """Ask for the first frame of an instance of the first series."""
    path = f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{sop}/frames/1"
    return session(server).get(f"{root(server, datastore)}/{path}", headers={"Accept": accept}, timeout=60)


def test_a_frame_that_is_kept_in_memory_is_the_same_again_and_goes_with_its_image_set(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    assert store(server, datastore, [part10(slice_of(number=n)) for n in (1, 2)]).status_code == 200
    (found,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    shown = instances(document(client, datastore, found["imageSetId"]))
    ids = {sop: instance["ImageFrames"][0]["ID"] for sop, instance in shown}
    seen: dict[str, set[bytes]] = {sop: set() for sop in ids}
    for _ in range(3):
        for sop, frame_id in ids.items():
            alone = got(server, datastore, sop, "image/jphc").content
            assert alone in got(server, datastore, sop, 'multipart/related; type="image/jphc"').content
            boxed, kind = frame(client, datastore, found["imageSetId"], frame_id)
            assert (kind, codestream_of(boxed)) == ("image/jph", alone)
            seen[sop].add(boxed)
    assert [len(each) for each in seen.values()] == [1, 1]
    assert len(set.union(*seen.values())) == 2
    deleted(client, datastore, found["imageSetId"])
    for sop, frame_id in ids.items():
        assert got(server, datastore, sop, "image/jphc").status_code == 404
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            frame(client, datastore, found["imageSetId"], frame_id)
