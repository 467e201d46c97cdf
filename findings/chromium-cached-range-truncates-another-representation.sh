#!/usr/bin/env bash
# One would guess: a page that fetches a part of a resource with one Accept (Range: bytes=0-8191), and then the whole of it with another Accept, gets
#   the whole: the answers say Vary: Accept and have different ETags, and the second request asks for no range.
# What happens: Chromium 156 has the first answer in its cache as a partial one. For the second request it sends Range: bytes=0-1316 (what it has of
#   the other representation) with If-None-Match and without If-Range. A server that does what RFC 9110 sections 13.2.2 and 14.2 say answers 206, and the
#   page, which never asked for a range, is given that 206: the first 1,317 of 3,072 bytes. response.ok is true.
# Why it matters: a viewer that reads the beginning of a frame as HTJ2K and then the whole frame in another form (image/jphc, then octets) gets a cut
#   image without an error. Fetch frames with cache: "no-store", or compare the length, or give each form an address of its own.
# The browser is Debian's package chromium, whose version is printed; Playwright only drives it.
set -euo pipefail
command -v chromium >/dev/null || { echo "this needs the package chromium" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check playwright==1.65.2 2>/dev/null
venv/bin/python - <<'PY'
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import sync_playwright

FORMS = {"image/jphc": (b"A" * 1317, '"a"'), "application/octet-stream": (b"B" * 3072, '"b"')}
seen = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body, tag = FORMS.get(self.headers["Accept"], (b"<!doctype html><title>page</title>", '"page"'))
        asked, condition = self.headers["Range"], self.headers["If-Range"]
        if self.path == "/frame":
            seen.append({name: self.headers[name] for name in ("Accept", "Range", "If-Range", "If-None-Match")})
        part, status = body, 200
        if asked and condition in (None, tag):
            first, last = (int(end) for end in asked.removeprefix("bytes=").split("-"))
            part, status = body[first : last + 1], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(body)}")
        headers = {
            "Content-Type": "text/html" if self.path == "/" else "application/octet-stream",
            "Content-Length": str(len(part)),
            "ETag": tag,
            "Vary": "Accept",
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
FETCH = """async (cache) => {
  await (await fetch("/frame", { cache, headers: { Accept: "image/jphc", Range: "bytes=0-8191" } })).text()
  const whole = await fetch("/frame", { cache, headers: { Accept: "application/octet-stream" } })
  return [whole.status, whole.ok, (await whole.text()).length]
}"""
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", chromium_sandbox=os.geteuid() != 0)
    print("chromium", browser.version)
    found = {}
    for cache in ("default", "no-store"):
        page = browser.new_context().new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        found[cache] = page.evaluate(FETCH, cache)
        print(f"cache {cache}: status, ok and length of the whole:", found[cache])
    browser.close()
for request in seen:
    print("request:", request)
assert found == {"default": [206, True, 1317], "no-store": [200, True, 3072]}
PY
