"""The routes of DICOMweb, and the labels of their paths (PS3.18 chapter 10)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from hounsfield.api.dicomweb.operations import OPERATIONS, Operation
from hounsfield.api.dicomweb.resources import offered_routes
from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import UnknownOperationException, ValidationException
from hounsfield.gateway.audit_record import is_read_only
from hounsfield.gateway.route_table import Route
from hounsfield.gateway.threads import Threads

LONGEST_LABEL: Final = 4096
MOST_UNUSED_BODY_BYTES: Final = 64 * 1024
"""Largest body of an operation that does not use its body."""
_NUMBERS: Final = re.compile(r"(?:[0-9,]|%2[Cc])*")
"""A frame list, which may be as long as a request line: one of its 10,000 numbers takes some five characters."""
_MANAGEMENT_ACTIONS: Final = frozenset({"GetDatastore", "DeleteImageSet"})
"""Actions of operations that are no data events, like their namesakes of HealthImaging."""


def dicomweb_routes(
    *, deletes: bool, most_store_bytes: int, reading: Threads, writing: Threads, rendering: Threads
) -> tuple[Route, ...]:
    """Return the routes of an installation.

    Parameters
    ----------
    deletes : bool
        Whether DELETE is allowed.
    most_store_bytes : int
        Largest body of a request that stores.
    reading, writing, rendering : Threads
        Where operations run that only read, those that change something, and those that render.
    """

    def threads_of(operation: Operation) -> Threads:
        if operation.renders:
            return rendering
        # What is stored is committed by a thread of its own.
        return reading if is_read_only(operation.name) or operation.take is not None else writing

    def route_of(method: str, path: str, operation: Operation) -> Route:
        return Route(
            method,
            f"/datastore/{{datastoreId}}/{path}".rstrip("/"),
            operation.name,
            action=operation.action or operation.name,
            category=Category.MANAGEMENT if operation.action in _MANAGEMENT_ACTIONS else Category.DATA,
            threads=threads_of(operation),
            quick=operation.quick,
            streams_body=operation.take is not None,
            stores=operation.take is not None,
            most_body_bytes=MOST_UNUSED_BODY_BYTES if operation.take is None else most_store_bytes,
            answers_head=method == "GET",
            answers_slash=True,
        )

    return tuple(route_of(method, path, OPERATIONS[name]) for method, path, name in offered_routes(deletes=deletes))


def decode_labels(labels: dict[str, str]) -> dict[str, str]:
    """Decode the labels of a path.

    Raises
    ------
    UnknownOperationException
        A label is empty.
    ValidationException
        A label is not percent-encoded UTF-8, has a zero character in it, or is too long.
    """
    if "" in labels.values():
        raise UnknownOperationException("No operation has the path of the request.")
    return {name: _decoded(label) for name, label in labels.items()}


def _decoded(label: str) -> str:
    if len(label) > LONGEST_LABEL and not _NUMBERS.fullmatch(label):
        raise ValidationException(f"A segment of the path is longer than {LONGEST_LABEL} bytes.")
    try:
        text = unquote(label, errors="strict") if label.isascii() else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise ValidationException("The path must be percent-encoded UTF-8.")
    if "\0" in text:
        raise ValidationException("The path must not contain a zero byte.")
    return text
