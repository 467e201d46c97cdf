#!/usr/bin/env bash
# One would guess: what an object store refuses is told by obstore in one way: `obstore.exceptions.BaseError`, which its documentation calls the
#   base of all its errors, so that `except BaseError` is enough for get, put and for writers (`open_writer`), which do the same over the same wire.
# What happens: with obstore 0.12.1 `put` raises an error below BaseError when the store answers 507 or 503, but `write` and `close` of a writer
#   raise a plain OSError, which is none, and has no errno by which a full store could be told from one that is away.
# Why it matters: who writes large objects as a stream, and guards it by `except BaseError`, meets the error unguarded; who asks for errno (ENOSPC)
#   finds None. All that tells a full store is the text of the message.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check obstore==0.12.1 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store


class Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(507)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
store = S3Store(
    "bucket",
    endpoint=f"http://127.0.0.1:{server.server_port}",
    region="us-east-1",
    access_key_id="key",
    secret_access_key="secret",
    client_options={"allow_http": True},
    retry_config={"max_retries": 0},
)


def stream():
    writer = obstore.open_writer(store, "name")
    writer.write(b"content")
    writer.close()


found = {}
for what, call in (("put", lambda: obstore.put(store, "name", b"content", use_multipart=False)), ("writer", stream)):
    try:
        call()
    except Exception as error:
        found[what] = (type(error).__name__, isinstance(error, BaseError), getattr(error, "errno", None))
        print(f"obstore {version('obstore')}, {what}: {found[what][0]}, a BaseError: {found[what][1]}, errno: {found[what][2]}")
        print(f"  {str(error).splitlines()[0][:150]}")
sys.exit(not (found["put"][1] and found["writer"] == ("OSError", False, None)))
PY
echo "as described"
