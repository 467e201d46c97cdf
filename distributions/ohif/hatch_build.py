"""Build hook: the released application of OHIF, trimmed and packed, as files of the distribution.

    npm's @ohif/app ─▶ SHA-512 as pinned? ─▶ what is needed ─▶ paths below `PREFIX` ─▶ gzip ─▶ app/ and app/files.json

Nothing is built or minified: what a browser gets is what OHIF released, but for the paths and the tour of the first start.
Who has the wheel needs neither npm nor Node.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE: Final = "@ohif/app"
VERSION: Final = "3.13.2"
INTEGRITY: Final = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""What the registry of npm says of the file (its ``dist.integrity``)."""
TARBALL: Final = f"ohif-app-{VERSION}.tgz"
TARBALL_VARIABLE: Final = "HOUNSFIELD_OHIF_TARBALL"
"""Names the file where it was fetched by other means, such as for a machine without the network."""
PREFIX: Final = "/console/ohif/"
"""Below which the console serves the files; a hash over all of them follows, so that a browser may keep each for ever."""
_BASE: Final = f"{PREFIX}@hash@/"
"""Stands for the path of the files while their hash is not known."""
_HASH_LENGTH: Final = 16
_PUBLIC_PATH: Final = re.compile(rb'__webpack_require__\.p = "/";')
_IN_STYLES: Final = re.compile(rb"url\(/(?!/)")
_MAIN_SCRIPT: Final = re.compile(r"app\.bundle\.[0-9a-f]+\.js")
_TOUR: Final = re.compile(
    rb";// CONCATENATED MODULE: [^\n]*/shepherd\.js/dist/js/shepherd\.mjs\n.*?//# sourceMappingURL=shepherd\.mjs\.map\n",
    re.DOTALL,
)
"""shepherd.js, which shows a tour at the first start. It is under the AGPL, so nothing of it may be in what we distribute."""
_NO_TOUR: Final = b"const shepherd_fe = { Tour: class { addStep() {} start() {} } };\n"
_STYLES_OF_TOUR: Final = re.compile(rb"[^{}\n]*\.shepherd[^{}\n]*\{[^{}\n]*\}")
_LEFT_OUT: Final = (
    # Models for segmentation and the code that runs them: 114 MB.
    "ort/",
    # Whole-slide images: 20 MB. The viewer of the console shows them.
    "dicom-microscopy-viewer/",
    # Examples of configurations, and what another server or browser than ours needs.
    "customizations/",
    "assets/",
    "_headers",
    "_redirects",
    "app-config.js",
    "es6-shim.min.js",
    "google.js",
    "index.html",
    "init-service-worker.js",
    "manifest.json",
    "oidc-client.min.js",
    "polyfill.min.js",
    "serve.json",
    "silent-refresh.html",
    "sw.js",
)
_KEPT: Final = ("assets/images/",)
"""Of what is left out, this stays: the pictures of presets for volume rendering."""
_PACKED: Final = frozenset({".js", ".css", ".svg", ".wasm"})


class OhifFiles(BuildHookInterface[Any]):
    """Puts the files of OHIF beside the modules of the distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the interface of hatchling
        """Make ``app/``, unless it is what this would make."""
        package = Path(self.root) / "src" / "hounsfield_ohif"
        own = [package / "start.js", package / "start.css"]
        made_of = _hash_of([INTEGRITY.encode(), Path(__file__).read_bytes(), *(file.read_bytes() for file in own)])
        folder = package / "app"
        listed = folder / "files.json"
        if listed.exists() and json.loads(listed.read_text())["made_of"] == made_of:
            return
        files = {**dict(_released(_tarball())), **{file.name: file.read_bytes() for file in own}}
        with TemporaryDirectory(dir=package, prefix=".app-") as made:
            _write(Path(made), files, made_of)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(made, folder)


def _tarball() -> Path:
    """Return the released file, fetched where it is not there yet; raises `RuntimeError` where it is not as pinned."""
    given = os.environ.get(TARBALL_VARIABLE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hounsfield-ohif"
    tarball = Path(given) if given else cache / TARBALL
    if not tarball.exists():
        if given:
            raise RuntimeError(f"{TARBALL_VARIABLE} names {given}, which is not there")
        _fetch(cache)
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise RuntimeError(
            f"{tarball} is not {PACKAGE} {VERSION} as it was released: its SHA-512 is another. Remove it"
        )
    return tarball


def _fetch(cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"npm is needed to fetch {PACKAGE} {VERSION}. Install it, or name the file in {TARBALL_VARIABLE}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(cache)]
    subprocess.run(command, cwd=cache, check=True, stdout=subprocess.DEVNULL)


def _released(tarball: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file that is needed, its paths below `PREFIX`."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = member.name.removeprefix("package/dist/")
            if not member.isfile() or name == member.name or not _is_needed(name):
                continue
            content = archive.extractfile(member)
            if content is not None:
                yield name, _below_prefix(name, _without_tour(name, content.read()))


def _is_needed(name: str) -> bool:
    left_out = name.startswith(_LEFT_OUT) and not name.startswith(_KEPT)
    return not left_out and not name.endswith(".map")


def _without_tour(name: str, content: bytes) -> bytes:
    if name.endswith(".css"):
        return _STYLES_OF_TOUR.sub(b"", content)
    if _MAIN_SCRIPT.fullmatch(name):
        content, found = _TOUR.subn(_NO_TOUR, content)
        if found != 1:
            raise RuntimeError(f"shepherd.js is {found} times in {name}, where it was expected once")
    return content


def _below_prefix(name: str, content: bytes) -> bytes:
    base = _BASE.encode()
    if name.endswith(".js"):
        return _PUBLIC_PATH.sub(b'__webpack_require__.p = "' + base + b'";', content)
    if name.endswith(".css"):
        return _IN_STYLES.sub(b"url(" + base, content)
    return content


def _write(folder: Path, files: dict[str, bytes], made_of: str) -> None:
    """Write the files, and the list of them that the console reads."""
    digest = _hash_of([part for name in sorted(files) for part in (name.encode(), files[name])])[:_HASH_LENGTH]
    base = f"{PREFIX}{digest}/"
    written: dict[str, dict[str, object]] = {}

    def write(name: str) -> None:
        content = files[name].replace(_BASE.encode(), base.encode())
        packs = PurePosixPath(name).suffix in _PACKED
        # In one folder: a wheel has no use for others.
        stored = name.replace("/", "--") + (".gz" if packs else "")
        (folder / stored).write_bytes(gzip.compress(content, 9, mtime=0) if packs else content)
        written[name] = {"stored": stored, "packed": packs, "sha256": hashlib.sha256(content).hexdigest()}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, files))
    scripts = [name for name in files if _MAIN_SCRIPT.fullmatch(name)]
    if len(scripts) != 1:
        raise RuntimeError(f"{PACKAGE} {VERSION} has {len(scripts)} main scripts where one is expected")
    listed = {
        "format": 1,
        "version": VERSION,
        "base": base,
        "styles": ["app.bundle.css", "start.css"],
        "start": "start.js",
        "scripts": scripts,
        "made_of": made_of,
        "files": dict(sorted(written.items())),
    }
    (folder / "files.json").write_text(json.dumps(listed, indent=1) + "\n")


def _hash_of(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
