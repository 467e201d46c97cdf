"""Service models: operations and shapes of AWS services as botocore ships them, in typed form.

    botocore's data file ─▶ botocore.model.ServiceModel ─▶ Service ─▶ Operation ─▶ Shape ─▶ Member ─▶ Shape …

Nothing of the model is written down here. A type this module does not know stops the program at start, so that a new
botocore shows at once what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias, Union

from botocore.loaders import Loader
from botocore.model import ServiceModel

SERVICE_NAME = "medical-imaging"


class Kind(StrEnum):
    """Type of a shape, named as in the service model."""

    STRUCTURE = "structure"
    LIST = "list"
    MAP = "map"
    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    BLOB = "blob"
    TIMESTAMP = "timestamp"


class Location(StrEnum):
    """Part of the HTTP message that carries a member, named as in the service model."""

    BODY = "body"
    PATH = "uri"
    QUERY = "querystring"
    HEADER = "header"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A type of the service model with its constraints.

    Attributes
    ----------
    name : str
        Shape name.
    kind : Kind
        Type of the values.
    sensitive : bool
        Whether values must not be shown in messages or logs.
    minimum, maximum : int or None
        Limits: of the length in characters, bytes or elements, or of the value of an integer.
    pattern : str or None
        Regular expression in Java's dialect, for the whole string.
    enum : tuple of str
        The values permitted; empty when not an enumeration.
    members : mapping of str to Member
        Members of a structure by member name, in the order of the model.
    union : bool
        Whether exactly one member must be given.
    payload : str or None
        The member that is the whole HTTP body.
    inner : tuple of Shape
        Of a list, the type of its elements; of a map, the types of its values and keys; of others, nothing.
    """

    name: str
    kind: Kind
    sensitive: bool
    minimum: int | None
    maximum: int | None
    pattern: str | None
    enum: tuple[str, ...]
    members: Mapping[str, Member] = field(repr=False)
    union: bool
    payload: str | None
    inner: tuple[Shape, ...] = field(repr=False)

    @property
    def element(self) -> Shape:
        """Type of the elements of a list or of the values of a map."""
        return self.inner[0]

    @property
    def key(self) -> Shape:
        """Type of the keys of a map."""
        return self.inner[1]

    def located(self, location: Location) -> dict[str, Member]:
        """Return the members that travel in one part of the HTTP message, by their wire name.

        The payload member counts to no part: it is the body itself.
        """
        return {
            member.wire_name: member
            for member in self.members.values()
            if member.location is location and member.name != self.payload
        }


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A member of a structure.

    Attributes
    ----------
    name : str
        Name in the model, which is the name in parsed parameters and in results.
    shape : Shape
        Type.
    location : Location
        Where it travels, for members of an operation's input or output.
    wire_name : str
        Name on the wire.
    required : bool
        Whether it must be present.
    """

    name: str
    shape: Shape
    location: Location
    wire_name: str
    required: bool


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """An error an operation may answer.

    Attributes
    ----------
    code : str
        What clients are told: the shape name, or the code that the model of a service with the query protocol gives besides.
    status : int
        HTTP status.
    """

    code: str
    status: int


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation of the service.

    Attributes
    ----------
    name : str
        Operation name, such as ``GetImageFrame``.
    method : str
        HTTP method in capitals.
    uri : str
        Path template, such as ``/datastore/{datastoreId}``.
    status : int
        HTTP status of success.
    input, output : Shape
        Structures that hold the parameters and the result.
    errors : mapping of str to ErrorShape
        The errors modelled, by shape name.
    result_wrapper : str or None
        XML element around the result, for services with the query protocol.
    unsigned : bool
        Whether it is called without a signature.
    """

    name: str
    method: str
    uri: str
    status: int
    input: Shape = field(repr=False)
    output: Shape = field(repr=False)
    errors: Mapping[str, ErrorShape] = field(repr=False)
    result_wrapper: str | None = None
    unsigned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """The whole service.

    Attributes
    ----------
    signing_name : str
        Service name in the scope of signatures.
    api_version : str
        Version of the API, a date.
    operations : dict of str to Operation
        All operations by name.
    namespace : str
        Namespace of the XML elements, for services with the query protocol; else empty.
    """

    signing_name: str
    api_version: str
    operations: dict[str, Operation] = field(repr=False)
    namespace: str = ""


@cache
def load_service(name: str = SERVICE_NAME) -> Service:
    """Load a service model that botocore ships.

    Parameters
    ----------
    name : str
        Name of the service, such as ``sts``.

    Returns
    -------
    Service
        The same object at every call for the same service.

    Raises
    ------
    ValueError
        The model has a shape of a type this server cannot handle.
    """
    return read_service(ServiceModel(Loader().load_service_model(name, "service-2"), name))


def read_service(model: ServiceModel) -> Service:
    """Turn botocore's model of a service into ours.

    Parameters
    ----------
    model : botocore.model.ServiceModel
        Model of a service with the REST-JSON or the query protocol.

    Returns
    -------
    Service
        The same in typed form.

    Raises
    ------
    ValueError
        The model has a shape of a type this server cannot handle.
    """
    shapes = _ShapeReader()
    return Service(
        signing_name=str(model.signing_name),
        api_version=str(model.api_version),
        operations={str(name): _operation(model.operation_model(name), shapes) for name in model.operation_names},
        namespace=str(model.metadata.get("xmlNamespace", "")),
    )


def _operation(source: Any, shapes: _ShapeReader) -> Operation:
    output = shapes.read(source.output_shape)
    return Operation(
        name=str(source.name),
        method=str(source.http["method"]),
        uri=str(source.http["requestUri"]),
        status=_status_of_success(source, output),
        input=shapes.read(source.input_shape),
        output=output,
        errors={
            str(error.name): ErrorShape(
                str(error.metadata["error"].get("code", error.name)), int(error.metadata["error"]["httpStatusCode"])
            )
            for error in source.error_shapes
        },
        result_wrapper=source.output_shape.serialization.get("resultWrapper"),
        unsigned=source.auth_type == "none",
    )


def _status_of_success(source: Any, output: Shape) -> int:
    # botocore's model gives 200 throughout, the service was seen to answer 204 where there is nothing to return
    # (TagResource, UntagResource). SDKs take both; what was seen wins.
    return int(source.http.get("responseCode", 200)) if output.members else 204


class _ShapeReader:
    """Turns botocore's shapes into ours, each named shape once."""

    def __init__(self) -> None:
        self._done: dict[str, Shape] = {}
        self._under_way: set[str] = set()

    def read(self, source: Any) -> Shape:
        name = str(source.name)
        if name in self._done:
            return self._done[name]
        if name in self._under_way:
            message = f"The service model has the shape {name} inside itself, which this server cannot handle."
            raise ValueError(message)
        self._under_way.add(name)
        shape = self._convert(source)
        self._done[name] = shape
        return shape

    def _convert(self, source: Any) -> Shape:
        kind = _kind(source)
        metadata: Mapping[str, Any] = source.metadata
        return Shape(
            name=str(source.name),
            kind=kind,
            sensitive=bool(metadata.get("sensitive", False)),
            minimum=metadata.get("min"),
            maximum=metadata.get("max"),
            pattern=metadata.get("pattern"),
            enum=tuple(metadata.get("enum", ())),
            members=self._members(source) if kind is Kind.STRUCTURE else {},
            union=bool(metadata.get("union", False)),
            payload=source.serialization.get("payload"),
            inner=self._inner(source, kind),
        )

    def _members(self, source: Any) -> dict[str, Member]:
        required = set(source.metadata.get("required", ()))
        return {
            str(name): Member(
                name=str(name),
                shape=self.read(member),
                location=Location(member.serialization.get("location", "body")),
                wire_name=str(member.serialization.get("name", name)),
                required=name in required,
            )
            for name, member in source.members.items()
        }

    def _inner(self, source: Any, kind: Kind) -> tuple[Shape, ...]:
        if source.serialization.get("flattened"):
            message = f"The service model has the flattened shape {source.name}, which is not known here."
            raise ValueError(message)
        if kind is Kind.LIST:
            return (self.read(source.member),)
        return (self.read(source.value), self.read(source.key)) if kind is Kind.MAP else ()


def _kind(source: Any) -> Kind:
    try:
        return Kind(source.type_name)
    except ValueError:
        message = f"The service model has the shape {source.name} of type {source.type_name}, which is not known here."
        raise ValueError(message) from None


Parameter: TypeAlias = Union[str, int, bool, bytes, datetime, list["Parameter"], "Parameters"]


Parameters: TypeAlias = dict[str, Parameter]
