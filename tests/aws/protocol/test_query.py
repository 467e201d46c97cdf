"""The query protocol: botocore's own serialiser and parser for the service `sts` are the oracle."""

import contextlib
import re
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.awsrequest import prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol import errors
from hounsfield.aws.protocol.errors import (
    AccessDeniedException,
    AwsError,
    RequestEntityTooLargeException,
    UnknownOperationException,
    ValidationException,
)
from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.query_parser import MAX_FIELDS, MAX_FORM_BYTES, operation_of, parse_form, read_form
from hounsfield.aws.protocol.query_serializer import query_code, serialise_query, serialise_query_error
from hounsfield.aws.protocol.serializer import ResultError
from support.requests.shape_samples import values_of

MODEL = botocore.session.get_session().get_service_model("sts")
SERVICE = load_service("sts")
ROLE = "arn:aws:iam::000000000000:role/reader"
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sent(name, parameters):
    """The body that boto3 sends."""
    request = create_serializer("query").serialize_to_request(parameters, MODEL.operation_model(name))
    prepare_request_dict(request, "http://sts.test")
    return urlencode(request["body"]).encode()


def read(body, query=b""):
    form = read_form(query, body)
    operation = operation_of(SERVICE, form)
    return operation.name, parse_form(operation, form)


def received(name, answer):
    http = {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body}
    return create_parser("query").parse(http, MODEL.operation_model(name).output_shape)


@pytest.mark.parametrize("name", sorted(MODEL.operation_names))
@QUICK
@given(data=st.data())
def test_what_boto3_sends_comes_out_as_it_went_in(name, data):
    parameters = data.draw(values_of(MODEL.operation_model(name).input_shape))
    assume(not leaves_no_trace(parameters))
    assert read(sent(name, parameters)) == (name, parameters)


def leaves_no_trace(parameters):
    """Return whether a structure without members is among the values, which is nothing on the wire."""
    values = [item for value in parameters.values() for item in (value if isinstance(value, list) else [value])]
    return {} in values


@pytest.mark.parametrize("name", sorted(MODEL.operation_names))
@QUICK
@given(data=st.data())
def test_botocore_reads_what_went_out(name, data):
    result = data.draw(values_of(MODEL.operation_model(name).output_shape, fractions=True))
    parsed = received(name, serialise_query(SERVICE, SERVICE.operations[name], result, "1-2-3"))
    assert parsed.pop("ResponseMetadata")["RequestId"] == "1-2-3"
    assert xml_text(parsed) == xml_text(result)


def xml_text(value):
    """What XML 1.0 can hold of the texts of a result."""
    if isinstance(value, dict):
        return {key: xml_text(item) for key, item in value.items()}
    return re.sub("[\x00-\x08\x0b-\x1f\ufffe\uffff]", "\ufffd", value) if isinstance(value, str) else value


def test_the_form_on_the_wire():
    credentials = {
        "AccessKeyId": "ASIA0000000000000000",
        "SecretAccessKey": "s",
        "SessionToken": "t<&>",
        "Expiration": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    answer = serialise_query(SERVICE, SERVICE.operations["AssumeRole"], {"Credentials": credentials}, "id")
    assert answer.status == 200
    assert answer.body.decode() == (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASIA0000000000000000</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t&lt;&amp;&gt;</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials>"
        "</AssumeRoleResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )


def test_a_get_carries_the_form_in_its_query_string_beside_a_signature():
    query = b"Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"
    assert read(b"", query) == ("GetCallerIdentity", {})


def test_fields_that_are_not_known_are_passed_over():
    assert read(b"Action=GetCallerIdentity&Nothing=1&Nothing.member.1=2") == ("GetCallerIdentity", {})


def test_elements_of_lists_come_in_the_order_of_their_numbers():
    body = f"Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=me&TransitiveTagKeys.member.10=b&TransitiveTagKeys.member.9=a"
    assert read(body.encode())[1]["TransitiveTagKeys"] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Version=2011-06-15", "must name its operation"),
        (b"Action=", "must name its operation"),
        (b"Action=assumerole", "Could not find operation assumerole for version 2011-06-15"),
        (b"Action=AssumeRole&Version=2010-01-01", "for version 2010-01-01"),
    ],
)
def test_unknown_operations(body, message):
    with pytest.raises(UnknownOperationException, match=message):
        read(body)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("RoleArn=a&RoleArn=b", "the field RoleArn once"),
        (f"RoleArn={ROLE}", "Value null at 'RoleSessionName' failed to satisfy constraint: Member must not be null"),
        ("RoleArn=x&RoleSessionName=me", "at 'RoleArn' failed .* length greater than or equal to 20"),
        (f"RoleArn={ROLE}&RoleSessionName=a b", "'RoleSessionName' failed .* regular expression pattern"),
        (f"RoleArn={ROLE}&RoleSessionName=me&DurationSeconds=1", "value greater than or equal to 900"),
        (f"RoleArn={ROLE}&RoleSessionName=me&DurationSeconds=x", "'DurationSeconds' failed .* an integer"),
        (f"RoleArn={ROLE}&RoleSessionName=me&DurationSeconds.a=1", "Member must be a single value"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags=x", "Member must be a list whose elements"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags.1.Key=x", "Member must be a list whose elements"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags.member.x.Key=x", "Member must be a list whose elements"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags.member.99999.Key=x", "Member must be a list whose elements"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags.member.1.Key=x", "'Tags.1.member.Value' failed"),
        (f"RoleArn={ROLE}&RoleSessionName=me&Tags.member.1.Key=%21&Tags.member.1.Value=", "'Tags.1.member.Key' failed"),
        (f"RoleArn={ROLE}&RoleSessionName=me&{'a.' * 9}b=1", "at most 8 parts"),
        ("&".join(f"a{n}=" for n in range(MAX_FIELDS)), f"at most {MAX_FIELDS} fields"),
    ],
)
def test_what_cannot_be_read_is_refused(fields, message):
    with pytest.raises(ValidationException, match=message):
        read(f"Action=AssumeRole&{fields}".encode())


def test_large_forms_are_refused():
    with pytest.raises(RequestEntityTooLargeException):
        read_form(b"", b"a" * (MAX_FORM_BYTES + 1))


def test_tags_may_be_of_any_script():
    body = f"Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=me&" + urlencode(
        {"Tags.member.1.Key": "病棟", "Tags.member.1.Value": "Größe 3"}
    )
    assert read(body.encode())[1]["Tags"] == [{"Key": "病棟", "Value": "Größe 3"}]


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_bytes_of_any_kind_are_read_or_refused(query, fields):
    with contextlib.suppress(AwsError):
        read(b"Action=AssumeRole&" + fields, query)


def test_errors_are_read_by_botocore():
    answer = serialise_query_error(SERVICE, AccessDeniedException("no & never\0"), "1-2-3")
    assert answer.status == 403
    parsed = received("AssumeRole", answer)
    assert parsed["Error"] == {"Type": "Sender", "Code": "AccessDenied", "Message": "no & never�"}
    assert parsed["ResponseMetadata"]["RequestId"] == "1-2-3"
    assert ET.fromstring(answer.body).tag == "{https://sts.amazonaws.com/doc/2011-06-15/}ErrorResponse"


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        ("ExpiredTokenException", "ExpiredToken", 403),
        ("IncompleteSignatureException", "IncompleteSignature", 403),
        ("InternalServerException", "InternalFailure", 500),
        ("InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("MissingAuthenticationTokenException", "MissingAuthenticationToken", 403),
        ("NotImplementedException", "NotImplemented", 501),
        ("ThrottlingException", "Throttling", 400),
        ("UnknownOperationException", "InvalidAction", 400),
        ("UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("ValidationException", "ValidationError", 400),
    ],
)
def test_common_errors_have_the_names_of_the_query_protocol(error, code, status):
    assert query_code(getattr(errors, error)("")) == (code, status)


def test_modelled_errors_have_the_codes_and_statuses_of_the_model():
    modelled = {}
    for operation in (SERVICE.operations[name] for name in ("AssumeRole", "AssumeRoleWithWebIdentity")):
        modelled |= {name: (shape.code, shape.status) for name, shape in operation.errors.items()}
    for name, expected in modelled.items():
        ours = "ExpiredIdentityTokenException" if name == "ExpiredTokenException" else name
        if name != "RegionDisabledException":  # every region is enabled here
            assert query_code(getattr(errors, ours)("")) == expected


def test_a_result_that_does_not_fit_is_our_fault():
    with pytest.raises(ResultError):
        serialise_query(SERVICE, SERVICE.operations["GetCallerIdentity"], {"Nothing": "x"}, "id")
