"""Checking the answer of an operation against its output shape in botocore's model, as parsed and as it was on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import Shape
from botocore.response import StreamingBody
from botocore.validate import ParamValidator

from support.requests.shape_samples import MODEL


class Recorder:
    """Keeps the HTTP response of the last call of a client."""

    def __init__(self, client: Any) -> None:
        self.response: Any = None
        client.meta.events.register("after-call.medical-imaging", self._keep)

    def _keep(self, http_response: Any, **_: Any) -> None:
        self.response = http_response


def check_answer(operation: str, answer: dict[str, Any], response: Any) -> None:
    """Check what boto3 gave for an operation, and the HTTP response that it was made of."""
    model = MODEL.operation_model(operation)
    shape = model.output_shape
    assert response.status_code == (200 if shape.members else 204)
    assert response.headers["x-amzn-requestid"]
    members = {
        name: value.read() if isinstance(value, StreamingBody) else value
        for name, value in answer.items()
        if name != "ResponseMetadata"
    }
    report = ParamValidator().validate(members, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(violations(shape, members)) == []
    if shape.members and not model.has_streaming_output:
        assert response.headers["content-type"] == "application/json"
        assert list(oddities(shape, json.loads(response.content))) == []


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Tell what botocore's validator does not look at: patterns, enumerations, upper limits, unknown members, unions."""
    match shape.type_name:
        case "structure":
            if getattr(shape, "is_tagged_union", False) and len(value) != 1:
                yield f"{path}: a union with {len(value)} members"
            for name, member in value.items():
                if name not in shape.members:
                    yield f"{path}.{name}: not in the model"
                else:
                    yield from violations(shape.members[name], member, f"{path}.{name}")
        case "list":
            for number, element in enumerate(value):
                yield from violations(shape.member, element, f"{path}[{number}]")
        case "map":
            for key, element in value.items():
                yield from violations(shape.key, key, f"{path}: key")
                yield from violations(shape.value, element, f"{path}[{key}]")
    yield from _broken(shape, value, path)


def _broken(shape: Shape, value: Any, path: str) -> Iterator[str]:
    metadata = shape.metadata
    size = value if shape.type_name == "integer" else len(value) if hasattr(value, "__len__") else None
    for limit, fits in (("min", lambda low: size >= low), ("max", lambda high: size <= high)):
        if limit in metadata and size is not None and not fits(metadata[limit]):
            yield f"{path}: {size} is beyond {limit} {metadata[limit]}"
    if "enum" in metadata and value not in metadata["enum"]:
        yield f"{path}: {value} is none of {metadata['enum']}"
    if "pattern" in metadata:
        pattern = metadata["pattern"].replace(r"\p{ASCII}", r"[\x00-\x7f]")
        if not re.fullmatch(pattern, value, re.ASCII):
            yield f"{path}: {value} has not the pattern {pattern}"


def oddities(shape: Shape, document: Any, path: str = "") -> Iterator[str]:
    """Tell what is odd in the JSON of an answer: names the model does not know, nulls that are required, times as text."""
    match shape.type_name:
        case "structure":
            known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
            missing = [name for name in shape.required_members if document.get(name) is None]
            yield from (f"{path}.{name}: required" for name in missing)
            for name, value in document.items():
                if name not in known:
                    yield f"{path}.{name}: not in the model"
                elif value is not None:
                    yield from oddities(known[name], value, f"{path}.{name}")
        case "list":
            for number, element in enumerate(document):
                yield from oddities(shape.member, element, f"{path}[{number}]")
        case "timestamp":
            if not isinstance(document, int | float) or isinstance(document, bool):
                yield f"{path}: {document} is no number of seconds"
