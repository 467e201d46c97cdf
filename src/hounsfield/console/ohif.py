"""OHIF as it is installed: the files of the distribution ``hounsfield-ohif``, which a browser keeps for as long as it likes.

    hounsfield_ohif/app/files.json ─▶ installed_ohif() ─▶ /console/ohif/3f9a…/app.bundle.js ─▶ send_ohif_file ─▶ gzip, immutable

The files are packed in the distribution. They are read when they are asked for, as no process should hold all of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from typing import Any, BinaryIO, Final, cast

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope, Send

from hounsfield.console.security_headers import ohif_file_policy
from hounsfield.gateway.request_body import header

PREFIX: Final = "/console/ohif/"
"""Below which the files are; the distribution is made for it."""
_FORMAT: Final = 1
"""Of the list of files; another one is of a distribution that this console does not know."""
_CHUNK_BYTES: Final = 256 * 1024
_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "png": b"image/png",
    "wasm": b"application/wasm",
    "woff2": b"font/woff2",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OhifFile:
    """A file of OHIF.

    Attributes
    ----------
    stored : Traversable
        Where its bytes are.
    media_type : bytes
        Of its content.
    is_packed : bool
        Whether its bytes are packed by gzip.
    """

    stored: Traversable = field(repr=False)
    media_type: bytes
    is_packed: bool

    def open(self, *, unpacked: bool) -> BinaryIO:
        """Open its bytes, unpacked where a browser asks for that."""
        opened = cast("BinaryIO", self.stored.open("rb"))
        return cast("BinaryIO", gzip.GzipFile(fileobj=opened)) if unpacked and self.is_packed else opened


@dataclass(frozen=True, slots=True)
class Ohif:
    """OHIF as it is installed.

    Attributes
    ----------
    version : str
        Release of OHIF.
    base : str
        Path below which its files are; it has a hash over them.
    styles, scripts : sequence of str
        Paths of what a page loads, in this order.
    start : str
        Path of the script that a page loads before those, which configures them.
    files : Mapping of str to OhifFile
        All files by path.
    """

    version: str
    base: str
    styles: Sequence[str]
    start: str
    scripts: Sequence[str]
    files: Mapping[str, OhifFile] = field(repr=False)


@cache
def installed_ohif() -> Ohif | None:
    """Return OHIF as it is installed; None where it is not, or where it is made for another console."""
    try:
        folder = resources.files(import_module("hounsfield_ohif")).joinpath("app")
    except ModuleNotFoundError:
        return None
    try:
        listed = json.loads(folder.joinpath("files.json").read_text())
        if listed["format"] == _FORMAT and listed["base"].startswith(PREFIX):
            return _read(listed, folder)
        reason = "it is made for another version of the console"
    except (OSError, ValueError, LookupError) as error:
        reason = type(error).__name__
    _log.warning("ohif is not offered", reason=reason)
    return None


def _read(listed: Mapping[str, Any], folder: Traversable) -> Ohif:
    base = listed["base"]
    files = {
        base + name: OhifFile(folder.joinpath(one["stored"]), _TYPES[name.rpartition(".")[2]], one["packed"])
        for name, one in listed["files"].items()
    }
    return Ohif(
        listed["version"],
        base,
        [base + name for name in listed["styles"]],
        base + listed["start"],
        [base + name for name in listed["scripts"]],
        files,
    )


async def send_ohif_file(scope: Scope, send: Send) -> bool:
    """Send a file of OHIF by its path; gives whether there is one."""
    if not scope["path"].startswith(PREFIX) or scope["method"] not in ("GET", "HEAD"):
        return False
    ohif = installed_ohif()
    file = ohif.files.get(scope["path"]) if ohif else None
    if ohif is None or file is None:
        return False
    takes_packed = b"gzip" in (header(scope, b"accept-encoding") or b"")
    host = (header(scope, b"host") or b"").decode("latin-1")
    headers = [
        (b"content-type", file.media_type),
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"vary", b"Accept-Encoding"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        # A worker has the policy of its own script.
        (b"content-security-policy", ohif_file_policy(host, ohif.base).encode("latin-1")),
    ]
    if file.is_packed and takes_packed:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "GET":
        await _send_bytes(file, send, unpacked=not takes_packed)
    await send({"type": "http.response.body", "body": b""})
    return True


async def _send_bytes(file: OhifFile, send: Send, *, unpacked: bool) -> None:
    with ExitStack() as stack:
        opened = stack.enter_context(await run_in_threadpool(lambda: file.open(unpacked=unpacked)))
        while chunk := await run_in_threadpool(opened.read, _CHUNK_BYTES):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
