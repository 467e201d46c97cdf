import json

import pytest
from botocore.parsers import create_parser

from hounsfield.aws.protocol import errors
from hounsfield.aws.protocol.errors import AwsError, MethodNotAllowedException, NotImplementedException, serialise_error

EVERY = sorted(
    (
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, AwsError) and item is not AwsError
    ),
    key=lambda item: item.__name__,
)


@pytest.mark.parametrize("kind", EVERY)
def test_botocore_reads_code_and_message(kind):
    response = serialise_error(kind("What is wrong, and é."), "request-1")
    http = {
        "status_code": response.status,
        "headers": {k.lower(): v for k, v in response.headers},
        "body": response.body,
    }
    read = create_parser("rest-json").parse(http, None)
    assert read["Error"] == {"Code": kind.__name__, "Message": "What is wrong, and é."}
    assert read["ResponseMetadata"]["RequestId"] == "request-1"
    assert read["ResponseMetadata"]["HTTPStatusCode"] == kind.status == response.status
    assert 400 <= response.status < 600


def test_the_form_on_the_wire():
    response = serialise_error(MethodNotAllowedException("No.", [("Allow", "GET")]), "id")
    assert dict(response.headers) == {
        "Content-Type": "application/json", "x-amzn-ErrorType": "MethodNotAllowedException", "x-amzn-RequestId": "id",
        "Allow": "GET",
    }  # fmt: skip
    assert json.loads(response.body) == {"message": "No."}


def test_an_operation_without_handler_says_so():
    error = NotImplementedException.of("CopyImageSet")
    assert error.status == 501
    assert "CopyImageSet" in error.message


def test_messages_with_lone_surrogates_do_not_break_the_answer():
    assert json.loads(serialise_error(AwsError("a\ud800b"), "id").body) == {"message": "a?b"}
