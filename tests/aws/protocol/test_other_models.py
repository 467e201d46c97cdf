"""What today's service model does not use and a later one may: read rightly, or refused at start with a clear word."""

from datetime import UTC, datetime

import pytest
from botocore.model import ServiceModel

from hounsfield.aws.protocol.errors import AwsError, ValidationException
from hounsfield.aws.protocol.model import read_service
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.aws.protocol.serializer import ResultError, serialise

SCALARS = {
    "Text": {"type": "string"},
    "Number": {"type": "integer"},
    "Moment": {"type": "timestamp"},
    "Moments": {"type": "list", "member": {"shape": "Moment"}},
    "Bytes": {"type": "blob"},
    "Numbers": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Number"}},
    "Union": {"type": "structure", "union": True, "members": {"a": {"shape": "Text"}, "b": {"shape": "Text"}}},
    "Double": {"type": "double"},
}


def service_of(inputs, outputs=(), *, payload=None, output_payload=None, more=()):
    """A service with one operation, PUT /thing, whose input and output members are given."""
    shapes = {
        "In": {"type": "structure", "members": dict(inputs)},
        "Out": {"type": "structure", "members": dict(outputs)},
        **SCALARS,
        **dict(more),
    }
    for name, member in (("In", payload), ("Out", output_payload)):
        if member:
            shapes[name]["payload"] = member
    http = {"method": "PUT", "requestUri": "/thing", "responseCode": 200}
    operation = {"name": "PutThing", "http": http, "input": {"shape": "In"}, "output": {"shape": "Out"}, "errors": []}
    metadata = {"protocol": "rest-json", "apiVersion": "1", "endpointPrefix": "thing", "signatureVersion": "v4"}
    return read_service(ServiceModel({"metadata": metadata, "operations": {"PutThing": operation}, "shapes": shapes}))


def parse(service, query=b"", headers=(), body=b""):
    return parse_request(service.operations["PutThing"], {}, query, headers, body)


def test_headers_and_moments_in_the_query():
    service = service_of(
        {
            "token": {"shape": "Text", "location": "header", "locationName": "X-Token"},
            "since": {"shape": "Moment", "location": "querystring", "locationName": "from"},
            "days": {"shape": "Moments", "location": "querystring", "locationName": "day"},
        }
    )
    parameters = parse(service, b"from=1.5&day=1970-01-02&day=2e0", [(b"x-token", b"abc"), (b"x-other", b"")])
    assert parameters == {
        "token": "abc",
        "since": datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC),
        "days": [datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)],
    }
    with pytest.raises(ValidationException, match=r"'since' failed .* must be a number of seconds"):
        parse(service, b"from=soon")


@pytest.mark.parametrize("body", [b'{"n": 1.0}', b'{"n": 2147483648}', b'{"n": true}', b'{"n": "1"}', b'{"n": 1e999}'])
def test_integers_in_the_body_are_integers_of_32_bits(body):
    service = service_of({"n": {"shape": "Number"}})
    assert parse(service, body=b'{"n": -2147483648}') == {"n": -(2**31)}
    with pytest.raises(AwsError, match=r"32 bits|stops being JSON"):
        parse(service, body=body)


def test_names_on_the_wire_may_differ_inside_structures():
    service = service_of(
        {"n": {"shape": "Number", "locationName": "N"}}, {"n": {"shape": "Number", "locationName": "N"}}
    )
    assert parse(service, body=b'{"N": 1, "n": 2}') == {"n": 1}
    assert serialise(service.operations["PutThing"], {"n": 1}).body == b'{"N":1}'


def test_blobs_and_unions_in_results():
    operation = service_of({}, {"raw": {"shape": "Bytes"}, "one": {"shape": "Union"}}).operations["PutThing"]
    assert serialise(operation, {"raw": b"\xff\xfe", "one": {"a": "x"}}).body == b'{"raw":"//4=","one":{"a":"x"}}'
    for wrong in [{"raw": "text"}, {"one": {}}, {"one": {"a": "x", "b": "y"}}, {"one": "a"}]:
        with pytest.raises(ResultError):
            serialise(operation, wrong)


@pytest.mark.parametrize(
    ("members", "word"), [({"d": {"shape": "Double"}}, "double"), ({"again": {"shape": "In"}}, "inside itself")]
)
def test_types_not_known_stop_the_start(members, word):
    with pytest.raises(ValueError, match=word):
        service_of(members)


@pytest.mark.parametrize(
    "service",
    [
        lambda: service_of({"m": {"shape": "Union", "location": "querystring", "locationName": "m"}}),
        lambda: service_of({"raw": {"shape": "Bytes"}}, payload="raw"),
        lambda: service_of({"map": {"shape": "Numbers"}}),
    ],
)
def test_requests_not_known_are_refused_by_name(service):
    with pytest.raises(ValueError, match="not known here"):
        parse(service())


@pytest.mark.parametrize(
    "service",
    [
        lambda: service_of({}, {"one": {"shape": "Union"}}, output_payload="one"),
        lambda: service_of(
            {}, {"h": {"shape": "Text", "location": "header", "locationName": "H"}, "t": {"shape": "Text"}}
        ),
        lambda: service_of({}, {"map": {"shape": "Numbers"}}),
    ],
)
def test_results_not_known_are_refused_by_name(service):
    with pytest.raises(ValueError, match="not known here"):
        serialise(service().operations["PutThing"], {})
