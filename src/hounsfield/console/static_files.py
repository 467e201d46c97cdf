"""Static files of the console: scripts, styles and pictures, which a browser keeps for as long as it likes.

    static_url("console.css") ─▶ /console/static/3f9a…/console.css ─▶ send_static_file ─▶ gzip, immutable

The path has a hash over all files, so a new version has new paths, and scripts import each other by relative ones.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

from starlette.types import Scope, Send

from hounsfield.gateway.request_body import header

PREFIX: Final = "/console/static/"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "wasm": "application/wasm",
    "txt": "text/plain; charset=utf-8",
    "bcmap": "application/octet-stream",
    "pfb": "application/octet-stream",
}
_IMPORT: Final = re.compile(r"""^import\b[^"']*["'](\.[^"']+)["']""", re.MULTILINE)
_PACKED: Final = frozenset({"css", "js", "mjs", "svg", "wasm", "txt"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent.

    Attributes
    ----------
    media_type : str
        Of its content.
    content : bytes
        The content.
    packs : bool
        Whether gzip is likely to make it smaller.
    """

    media_type: str
    content: bytes = field(repr=False)
    packs: bool


@cache
def static_files() -> dict[str, StaticFile]:
    """Return all files by their names below ``static/``."""
    found: dict[str, StaticFile] = {}
    folders = [("", resources.files("hounsfield.console").joinpath("static"))]
    while folders:
        prefix, folder = folders.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                folders.append((f"{prefix}{entry.name}/", entry))
                continue
            suffix = entry.name.rpartition(".")[2]
            if suffix in _TYPES:
                found[prefix + entry.name] = StaticFile(_TYPES[suffix], entry.read_bytes(), suffix in _PACKED)
    return found


@cache
def _prefix() -> str:
    digest = hashlib.sha256()
    for name, file in sorted(static_files().items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.content).digest())
    return f"{PREFIX}{digest.hexdigest()[:16]}/"


def static_url(name: str) -> str:
    """Return the path of a file by its name; raises `KeyError` for one that is not there."""
    if name not in static_files():
        raise KeyError(name)
    return _prefix() + name


@cache
def imported_modules(*names: str) -> tuple[str, ...]:
    """Return ES modules with all that they import, at once and further on: what a page lets the browser fetch together."""
    found: dict[str, None] = dict.fromkeys(names)
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        for imported in _IMPORT.findall(static_files()[name].content.decode()):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))
            if path not in found:
                found[path] = None
                waiting.append(path)
    return tuple(found)


@cache
def _packed(name: str) -> bytes | None:
    """Return a file in gzip, made when it is asked for first, as most pages need few of them; None where it is not smaller."""
    file = static_files()[name]
    packed = gzip.compress(file.content, 9, mtime=0) if file.packs else file.content
    return packed if len(packed) < len(file.content) else None


async def send_static_file(scope: Scope, send: Send) -> bool:
    """Send a file by its path; gives whether there is one."""
    path: str = scope["path"]
    if not path.startswith(_prefix()):
        return False
    name = path.removeprefix(_prefix())
    file = static_files().get(name)
    if file is None:
        return False
    packed = _packed(name) if b"gzip" in (header(scope, b"accept-encoding") or b"") else None
    content = file.content if packed is None else packed
    headers = [
        (b"content-type", file.media_type.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"vary", b"Accept-Encoding"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if file.media_type.startswith("text/javascript"):
        # What a script does as a worker has the policy of its own answer.
        headers.append(
            (
                b"content-security-policy",
                b"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
            )
        )
    if packed is not None:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
    return True
