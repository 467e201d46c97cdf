"""The route table of a server, without the server."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hounsfield.aws.protocol.model import Operation, load_service
from hounsfield.bootstrap.api import make_app
from hounsfield.gateway.route_table import RouteTable
from hounsfield.settings import Settings

SERVICE = load_service()


@cache
def route_table(*, deletes: bool = True) -> RouteTable:
    """Return the table of a server that allows everything, or all but DELETE."""
    with TemporaryDirectory() as folder:
        gateway = make_app(Settings(data=Path(folder) / "data", dicomweb_delete=deletes))
        gateway.start()
        gateway.stop()
    return gateway.routes


def find_operation(method: str, raw_path: bytes) -> tuple[Operation, dict[str, str]]:
    """Return the operation of HealthImaging that a request is for, and its labels; raises `AwsError` where there is none."""
    match = route_table().find(method, raw_path)
    if match.route is None:
        raise match.error()
    return SERVICE.operations[match.route.operation], match.api.decode_labels(match.labels)
