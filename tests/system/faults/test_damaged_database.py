"""A damaged page of the database fails the requests that need it, and nothing else; the log says which table it is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, root, session, store
from support.faults.damaged_database import damage_table
from support.files.synthetic import slice_of
from support.imaging.import_folders import sop_instances
from support.imaging.imports import document, frame
from support.imaging.stored_series import imported
from support.servers import ServerProcess, active_datastore

SEED = random.randrange(2**32)
ROUNDS = 60


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"HOUNSFIELD_STORE_WORKERS": "1", "HOUNSFIELD_IMPORT_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("damaged") / "data", settings).start()
    yield process
    process.stop()


def code(call: Callable[[], Any]) -> str:
    try:
        call()
    except ClientError as error:
        answer = error.response
    else:
        return ""
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"
    return str(answer["Error"]["Code"])


def test_unaffected_tables_go_on(own: ServerProcess) -> None:
    print(f"seed {SEED}")
    client = own.client(max_pool_connections=16)
    datastore = active_datastore(client)
    (image_set,) = imported(own, client, datastore, slice_of())
    (found,) = sop_instances(client, datastore, image_set).values()
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    client.tag_resource(resourceArn=arn, tags={"ward": "3"})
    own.stop()
    assert damage_table(own, "tags", random.Random(SEED)) > 0
    own.start()
    client = own.client(max_pool_connections=16)
    web = session(own)
    frame_id = found["ImageFrames"][0]["ID"]

    def good(number: int) -> str:
        """Read and write what the damage does not concern."""
        frame(client, datastore, image_set, frame_id)
        document(client, datastore, image_set)
        assert web.get(f"{root(own, datastore)}/studies", timeout=60).status_code == 200
        assert store(own, datastore, [part10(slice_of(series=2, number=number))]).status_code == 200
        return code(lambda: client.get_image_set(datastoreId=datastore, imageSetId=image_set))

    def bad(number: int) -> str:
        """Need the damaged table, to read it and to write it."""
        if number % 2:
            return code(lambda: client.list_tags_for_resource(resourceArn=arn))
        return code(lambda: client.tag_resource(resourceArn=arn, tags={f"key-{number}": "1"}))

    with ThreadPoolExecutor(16) as threads:
        damaged = [threads.submit(bad, number) for number in range(ROUNDS)]
        healthy = [threads.submit(good, number) for number in range(ROUNDS // 2)]
        assert {answer.result() for answer in damaged} == {"InternalServerException"}
        assert {answer.result() for answer in healthy} == {""}
    lines = own.log_text().splitlines()
    told = [json.loads(line) for line in lines if '"database damaged"' in line]
    assert {table for line in told for table in line["tables"]} == {"tags"}
    assert all("backup" in line["what_to_do"] for line in told)
    assert not any("sqlcipher" in line or "ERROR CORE" in line or "ward" in line for line in lines)
