"""Every way to break the input of every operation once, made from botocore's model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from botocore.model import Shape

from support.requests.shape_places import dotted, places, sized, with_value
from support.requests.shape_samples import MODEL, OPERATIONS, SentRequest, sample_of, sent

Path: TypeAlias = tuple[str | int, ...]
ABSENT = object()
"""The value of a member that is left out of a request botocore has made."""


@dataclass(frozen=True)
class BadRequest:
    """One violation: where it is, what is put there, and what the message must say of the rule.

    ``raw`` tells that botocore cannot bring the value onto the wire, so that it is put into the request it made.
    """

    operation: str
    path: Path
    kind: str
    value: Any
    rule: str
    raw: bool = False

    @property
    def member(self) -> str:
        """The path as messages have it."""
        return dotted(self.path)

    def __str__(self) -> str:
        return f"{self.operation}-{self.member}-{self.kind}"

    def parameters(self, ids: dict[str, str]) -> dict[str, Any]:
        """Return the parameters for boto3, valid but for the one violation, about things that are there."""
        value = sample_of(shape_at(self.operation, self.path)) if self.raw else self.value
        broken: dict[str, Any] = with_value(self.operation, self.path, value)
        return {name: ids.get(name, given) if self.path != (name,) else given for name, given in broken.items()}

    def request(self, ids: dict[str, str]) -> SentRequest:
        """Return the request that botocore makes of valid parameters, with the value put in afterwards."""
        request = sent(self.operation, self.parameters(ids))
        root = MODEL.operation_model(self.operation).input_shape
        member = root.members[self.path[0]]
        if member.serialization.get("location") == "querystring":
            request.query_string = f"{member.serialization['name']}={quote(self.value)}".encode()
            return request
        request.body = _replaced(root, self.path, json.loads(request.body or b"{}"), self.value)
        return request


def _replaced(root: Shape, path: Path, document: Any, value: Any) -> bytes:
    """Put a value into the JSON body, or take the member away."""
    if path[0] == root.serialization.get("payload"):
        root, path = root.members[path[0]], path[1:]
    if not path:
        return b"" if value is ABSENT else json.dumps(value).encode()
    place, shape = document, root
    for step in path[:-1]:
        shape, place = (
            (shape.member, place[0]) if step == 0 else (shape.members[step], place[_wire_name(shape, str(step))])
        )
    last = 0 if path[-1] == 0 else _wire_name(shape, str(path[-1]))
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document).encode()


def _wire_name(shape: Shape, member: str) -> str:
    return str(shape.members[member].serialization.get("name", member))


def shape_at(operation: str, path: Path) -> Shape:
    """Find the shape at a path of an operation's input."""
    shape = MODEL.operation_model(operation).input_shape
    for step in path:
        shape = shape.member if step == 0 else shape.members[step]
    return shape


def bad_requests() -> Iterator[BadRequest]:
    """Return all of them."""
    for operation in OPERATIONS:
        root = MODEL.operation_model(operation).input_shape
        for path, shape, _ in places(root):
            if path:
                yield from _out_of_bounds(operation, path, shape)
                yield from _of_another_type(operation, path, shape, root)
            if shape.type_name == "structure":
                yield from _incomplete(operation, path, shape, root)
            if shape.type_name == "map":
                yield from _bad_entries(operation, path, shape)


def _out_of_bounds(operation: str, path: Path, shape: Shape) -> Iterator[BadRequest]:
    low, high, pattern, enum = (shape.metadata.get(key) for key in ("min", "max", "pattern", "enum"))
    measure = "value" if shape.type_name == "integer" else "length"
    if enum:
        yield BadRequest(operation, path, "enum", "NONE_OF_THEM", f"enum value set: [{', '.join(enum)}]")
        yield BadRequest(operation, path, "enum-lower", enum[0].lower() + "x", f"enum value set: [{', '.join(enum)}]")
    if pattern:
        yield BadRequest(operation, path, "pattern", "é ☃ \x7f", f"regular expression pattern: {pattern}")
        almost = f"{sample_of(shape)}\n"
        if len(almost) <= (high or len(almost)) and pattern[-1] != "*" and "ASCII" not in pattern:
            yield BadRequest(operation, path, "pattern-line-end", almost, f"regular expression pattern: {pattern}")
    if low:
        yield BadRequest(operation, path, "min-1", sized(shape, low - 1), f"{measure} greater than or equal to {low}")
    if high is not None:
        yield BadRequest(operation, path, "max+1", sized(shape, high + 1), f"{measure} less than or equal to {high}")


WRONG: dict[str, list[tuple[str, Any]]] = {
    "string": [("number", 7), ("list", ["a"]), ("object", {"a": "b"}), ("true", True)],
    "boolean": [("text", "true"), ("number", 1)],
    "blob": [("number", 7), ("no-base64", "{not base64}"), ("half-base64", "YWJ")],
    "timestamp": [("text", "yesterday"), ("true", True), ("endless", 1e300)],
    "list": [("object", {}), ("text", "abc"), ("null-inside", [None])],
    "map": [("list", []), ("number-inside", {"key": 7}), ("null-inside", {"key": None})],
    "structure": [("list", []), ("text", "abc"), ("number", 7)],
}
"""JSON values that are not of a type, by what they are."""
IN_QUERY = {
    "boolean": [("word", "maybe"), ("capital", "True")],
    "integer": [("word", "seven"), ("fraction", "1.5"), ("64-bit", "4294967297")],
}
MUST_BE = {
    "string": "a string",
    "boolean": "true or false",
    "blob": "a string in base64",
    "timestamp": "a number of seconds",
    "list": "",
    "map": "",
    "structure": "a JSON object",
    "integer": "an integer",
}


def _of_another_type(operation: str, path: Path, shape: Shape, root: Shape) -> Iterator[BadRequest]:
    location = root.members[path[0]].serialization.get("location")
    wrong = {None: WRONG, "querystring": IN_QUERY}.get(location, {})
    for kind, value in wrong.get(shape.type_name, []):
        rule = f"must be {MUST_BE[shape.type_name]}"
        yield BadRequest(operation, path, f"type-{kind}", value, rule, raw=True)


def _incomplete(operation: str, path: Path, shape: Shape, root: Shape) -> Iterator[BadRequest]:
    for name in shape.required_members:
        inner = (*path, name)
        location = root.members[inner[0]].serialization.get("location")
        if location == "uri":
            # Without its label there is no path; the nearest to it is an empty one.
            yield BadRequest(operation, inner, "missing", "", "Member must ")
        else:
            # botocore fills in an empty payload and client tokens by itself.
            filled = inner == (root.serialization.get("payload"),) or shape.members[name].metadata.get(
                "idempotencyToken"
            )
            absent = ABSENT if filled else None
            yield BadRequest(operation, inner, "missing", absent, "must not be null", raw=bool(filled))
            if location is None:
                yield BadRequest(operation, inner, "null", None, "must not be null", raw=True)
    if getattr(shape, "is_tagged_union", False):
        rule = f"exactly one of these members: [{', '.join(shape.members)}]"
        yield BadRequest(operation, path, "union-none", {}, rule)
        if len(shape.members) > 1:
            first = {name: sample_of(shape.members[name]) for name in list(shape.members)[:2]}
            yield BadRequest(operation, path, "union-two", first, rule)
            everything = {name: sample_of(member) for name, member in shape.members.items()}
            yield BadRequest(operation, path, "union-all", everything, rule)


def _bad_entries(operation: str, path: Path, shape: Shape) -> Iterator[BadRequest]:
    key, value = shape.key.metadata, shape.value.metadata
    rule = f"regular expression pattern: {key['pattern']}"
    for kind, bad in {"blank": "a b", "reserved": "aws:mine", "letters": "é"}.items():
        yield BadRequest(operation, path, f"key-{kind}", {bad: "value"}, rule)
    for kind, size, rule in (
        ("min-1", key["min"] - 1, f"length greater than or equal to {key['min']}"),
        ("max+1", key["max"] + 1, f"length less than or equal to {key['max']}"),
    ):
        yield BadRequest(operation, path, f"key-{kind}", {"k" * size: "value"}, rule)
    longest = value["max"]
    rule = f"length less than or equal to {longest}"
    yield BadRequest(operation, path, "value-max+1", {"key": "v" * (longest + 1)}, rule)
