#!/usr/bin/env bash
# One would guess: a writer of obstore that is let go without being closed gives up what it wrote, as a local file that is not renamed does;
#   and there is a method that does so on purpose.
# What happens: obstore 0.12.1 leaves the multipart upload of a writer that is dropped open in the store, and says nothing. There is no abort():
#   only leaving the writer as a context manager with an exception aborts the upload, which its type stubs do not say.
# Why it matters: the parts of an open upload take room, and are charged for, until somebody aborts it; they are in no listing of objects, and
#   obstore has no way to list uploads. A program that gives files up now and then fills its bucket with what it never sees.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "obstore==0.12.1" "boto3==1.44.5" "moto[server]==5.2.5" 2>/dev/null
cat > "$folder/uploads.py" <<'PY'
import obstore
import boto3
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

server = ThreadedMotoServer(port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
url = f"http://127.0.0.1:{port}"
key = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **key)
client.create_bucket(Bucket="parts")
config = {"endpoint": url, "region": "us-east-1", **key}
store = S3Store("parts", config=config, client_options={"allow_http": True})


def written(name):
    writer = obstore.open_writer(store, name)
    for _ in range(25):
        writer.write(bytes(1_000_000))
    return writer


def open_uploads():
    return [upload["Key"] for upload in client.list_multipart_uploads(Bucket="parts").get("Uploads", [])]


writer = written("dropped")
del writer
left_by_dropping = open_uploads()
try:
    with written("left with an exception"):
        raise OSError
except OSError:
    pass
left_in_all = open_uploads()
print("obstore", obstore.__version__)
print("open after the writer was dropped:", left_by_dropping)
print("open after another was left with an exception:", left_in_all)
print("writers have an abort():", hasattr(written("third"), "abort"))
server.stop()
assert left_by_dropping == ["dropped"], "a dropped writer no longer leaves its upload open"
assert left_in_all == ["dropped"], "leaving a writer with an exception no longer aborts its upload"
PY
"$folder/venv/bin/python" "$folder/uploads.py"
