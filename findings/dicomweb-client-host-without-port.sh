#!/usr/bin/env bash
# One would guess: dicomweb-client, given http://127.0.0.1:8042/dicom-web, says "Host: 127.0.0.1:8042", as requests does of itself (RFC 9110 section 7.2
#   wants the port wherever it is not the default one).
# What happens: dicomweb-client 0.61.2 sets the header itself, to the host name alone, whatever the port.
# Why it matters: a server that builds BulkDataURI and RetrieveURL from Host, as most do, gives addresses on port 80 or 443 that lead nowhere, or to
#   another server; and who signs the request (AWS Signature Version 4) must sign the header that is sent, not the one that the address asks for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicomweb-client==0.61.2 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import http.server
import sys
import threading
from importlib.metadata import version

import requests
from dicomweb_client.api import DICOMwebClient

hosts = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hosts.append(self.headers["Host"])
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
requests.get(f"http://127.0.0.1:{port}/dicom-web/studies", timeout=10)
DICOMwebClient(f"http://127.0.0.1:{port}/dicom-web").search_for_studies()
print(f"dicomweb-client {version('dicomweb-client')}, requests {version('requests')}; the server listens on port {port}")
print(f"  requests         Host: {hosts[0]}")
print(f"  dicomweb-client  Host: {hosts[1]}")
sys.exit(hosts != [f"127.0.0.1:{port}", "127.0.0.1"])
PY
echo "as described"
