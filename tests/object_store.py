"""An S3 object store of the tests' own: moto's server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import pytest

from servers import free_port, wait_for
from tools import required_tool

KEY = ("minio-like-key", "minio-like-secret")


class ObjectStore:
    """An S3 endpoint and a client of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY[0], aws_secret_access_key=KEY[1]
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    program = Path(sys.executable).parent / "moto_server"
    required_tool(program.exists(), "moto's server is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("s3") / "log").open("wb") as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)

    def up() -> bool:
        try:
            with urlopen(url, timeout=2):
                return True
        except (URLError, OSError):
            return False

    try:
        wait_for(up, "the object store to answer")
        yield ObjectStore(url)
    finally:
        process.terminate()
        process.wait(30)


def s3_environment(s3: ObjectStore) -> dict[str, str]:
    """Settings of a server that works with the store."""
    return {
        "HOUNSFIELD_S3_ENDPOINT_URL": s3.url,
        "HOUNSFIELD_S3_ACCESS_KEY_ID": KEY[0],
        "HOUNSFIELD_S3_SECRET_ACCESS_KEY": KEY[1],
    }
