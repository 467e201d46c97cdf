#!/usr/bin/env bash
# One would guess: a reversible HTJ2K encoder gives every image back, whatever its size; a new release keeps what the one before did.
# What happens: OpenJPH 0.32.0 (imagecodecs 2026.10.10) encodes images that are one pixel wide or high with one bit-plane too few as soon as
#   there is a decomposition level: the smallest value of the type comes out as another one, from its own decoder and from OpenJPEG alike, and
#   nothing raises. OpenJPH 0.26.3 (imagecodecs 2026.3.6) gives them back; with no decomposition level 0.32.0 does, too.
# Why it matters: whoever encodes losslessly without decoding again loses black pixels of thin strips and of 1 × 1 thumbnails, and the same lock
#   file installs one release for Python 3.11 and the other from 3.12 on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "${python:-}" ] || { echo "needs Python 3.12 or newer; name one with PYTHON"; exit 1; }
for version in 2026.3.6 2026.10.10; do
  "$python" -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "imagecodecs==$version" "numpy==2.4.6" 2>/dev/null
done
cat > "$folder/strips.py" <<'PY'
import sys

import imagecodecs
import numpy as np

release, changed = sys.argv[1], []
for shape in ((1, 1), (1, 8), (8, 1), (2, 8)):
    for levels in (0, 1):
        image = np.zeros(shape, np.uint8)
        stream = imagecodecs.htj2k_encode(image, reversible=True, resolutions=levels)
        own = imagecodecs.htj2k_decode(stream).reshape(shape)
        other = imagecodecs.jpeg2k_decode(bytes(stream)).reshape(shape)
        print(f"{release} {imagecodecs.htj2k_version()}: {shape} of zeros, {levels} levels: own decoder {own.max()}, OpenJPEG {other.max()}")
        if own.any() or other.any():
            changed.append((shape, levels))
expected = {"2026.3.6": [], "2026.10.10": [((1, 1), 1), ((1, 8), 1), ((8, 1), 1)]}[release]
sys.exit(changed != expected)
PY
for version in 2026.3.6 2026.10.10; do
  "$folder/$version/bin/python" "$folder/strips.py" "$version"
done
echo "as described"
