"""boto3 and curl over real HTTP against routing, signatures, parsing, serialising and errors put together."""

import shutil
import subprocess
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hounsfield.aws.protocol.errors import AwsError, ConflictException, serialise_error
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.aws.protocol.serializer import serialise
from hounsfield.aws.sigv4.verifier import Request, Verifier
from support.clients.signers import read_whole
from support.requests.route_tables import find_operation
from support.requests.shape_samples import MODEL, OPERATIONS, sample, sample_of

KEY_ID, SECRET = "AKIAEXAMPLEEXAMPLE00", "secret/of+this=test"


@pytest.fixture(scope="module")
def address():
    """An HTTP server that answers each operation with the sample of its output; gives its base URL."""
    verifier = Verifier("us-east-1", "medical-imaging", lambda scope: {KEY_ID: SECRET}.get(scope.access_key_id))

    def answer(request, body):
        body = read_whole(verifier.authenticate(request), body)
        if request.raw_path.endswith(b"/studies"):
            raise ConflictException(f"got {len(body)} bytes")
        operation, labels = find_operation(request.method, request.raw_path)
        parameters = parse_request(operation, labels, request.query_string, request.headers, body)
        if parameters.get("clientToken") == "conflict":
            raise ConflictException("The token was used with other parameters.")
        seen.append(parameters)
        return serialise(operation, sample_of(MODEL.operation_model(operation.name).output_shape))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self):
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            path, _, query = self.path.partition("?")
            headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in self.headers.items()]
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                response = answer(Request(self.command, path.encode(), query.encode(), headers), body)
            except AwsError as error:
                response = serialise_error(error, "request-id")
            self.send_response(response.status)
            for name, value in [*response.headers, ("Content-Length", str(len(response.body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *args):
            pass

    seen.clear()
    with closing(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        server.close = server.server_close
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


seen = []


def client_of(address, **credentials):
    keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "region_name": "us-east-1", **credentials}
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
    return boto3.client("medical-imaging", endpoint_url=address, config=config, **keys)


def plain(value):
    return value.read() if hasattr(value, "read") else value


@pytest.fixture(scope="module")
def boto(address):
    return client_of(address)


@pytest.mark.parametrize("name", OPERATIONS)
def test_boto3_calls_every_operation(boto, name):
    method = next(method for method, operation in boto.meta.method_to_api_mapping.items() if operation == name)
    answer = getattr(boto, method)(**sample(name))
    metadata = answer.pop("ResponseMetadata")
    assert seen[-1] == sample(name)
    assert {key: plain(value) for key, value in answer.items()} == sample_of(MODEL.operation_model(name).output_shape)
    assert metadata["HTTPStatusCode"] == (204 if name in {"TagResource", "UntagResource"} else 200)


def test_boto3_fills_in_the_client_token(boto):
    boto.create_datastore(datastoreName="x")
    assert len(seen[-1]["clientToken"]) == 36


def test_boto3_raises_the_modelled_exceptions(boto, address):
    with pytest.raises(boto.exceptions.ConflictException, match="used with other parameters"):
        boto.create_datastore(clientToken="conflict")
    with pytest.raises(boto.exceptions.ValidationException, match="at 'datastoreId' failed to satisfy constraint"):
        boto.get_datastore(datastoreId="short")
    with pytest.raises(ClientError) as caught:
        client_of(address, aws_secret_access_key="other").list_datastores()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    with pytest.raises(ClientError) as caught:
        client_of(address, aws_access_key_id="AKIANOBODY").list_datastores()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_url_presigned_by_boto3_works_by_itself(boto, address):
    url = boto.generate_presigned_url("list_datastores", Params={"maxResults": 3}, ExpiresIn=60)
    status, _ = curl(url)
    assert status == 200
    assert seen[-1] == {"maxResults": 3}
    assert curl(url.replace("maxResults=3", "maxResults=4"))[0] == 403


def curl(*arguments):
    program = shutil.which("curl")
    if program is None:
        pytest.skip("needs curl")
    command = [program, "--silent", "--max-time", "20", "--write-out", "\n%{http_code}", *arguments]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    body, _, status = output.rpartition(b"\n")
    return int(status), body


SIGN = ["--aws-sigv4", "aws:amz:us-east-1:medical-imaging", "--user", f"{KEY_ID}:{SECRET}"]
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{'0' * 32}"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/datastore", {}),
        ("/datastore?maxResults=3&datastoreStatus=ACTIVE", {"maxResults": 3, "datastoreStatus": "ACTIVE"}),
        ("/datastore?nextToken=b,a*&maxResults=3&flag", {"nextToken": "b,a*", "maxResults": 3}),
        (f"/tags/{ARN}", {"resourceArn": ARN}),
        (f"/tags/{ARN.replace(':', '%3A').replace('/', '%2F')}", {"resourceArn": ARN}),
    ],
)
def test_curl_signs_as_it_was_typed(address, path, parameters):
    status, body = curl(*SIGN, address + path)
    assert (status, seen[-1]) == (200, parameters), body


def test_curl_sends_a_body_with_its_hash(address):
    url = f"{address}/datastore/{'0' * 32}/imageSet/{'1' * 32}/getImageFrame"
    status, body = curl(*SIGN, "--json", f'{{"imageFrameId": "{"2" * 32}"}}', url)
    assert (status, body) == (200, sample_of(MODEL.operation_model("GetImageFrame").output_shape)["imageFrameBlob"])


@pytest.mark.parametrize("literal", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "UNSIGNED-PAYLOAD"])
def test_curl_uploads_in_the_way_of_the_stow_recipe(address, literal, tmp_path):
    upload = tmp_path / "upload"
    upload.write_bytes(b"--boundary\r\n" + b"DICM" * 1000)
    hashed = ["-H", f"x-amz-content-sha256: {literal}", "-H", "Expect:", "-H", "Content-Type: multipart/related"]
    status, body = curl(*SIGN, *hashed, "-X", "POST", "--upload-file", str(upload), f"{address}/datastore/x/studies")
    assert (status, body) == (409, b'{"message":"got 4012 bytes"}')


def test_curl_with_another_secret_is_refused(address):
    status, body = curl(*SIGN[:-1], f"{KEY_ID}:wrong", f"{address}/datastore")
    assert status == 403
    assert b"does not match the signature you provided" in body
