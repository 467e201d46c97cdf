#!/usr/bin/env bash
# One would guess: Pillow, which opens RGB JPEG 2000 of 16 bits a sample as 8 bits, gives white for white.
# What happens: Pillow 13.0.0 rounds to 8 bits and does not limit: every sample of 65408 and more comes out as 0, so that white is black, and
#   nothing is raised. Samples below are right within one level.
# Why it matters: scanned slides and photographs of 16 bits have their brightest parts in black; whoever shows or checks lossless frames by Pillow
#   sees a loss that is not in them. (Grey of 16 bits is opened as it is.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 imagecodecs==2026.3.6 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import io
import sys

import imagecodecs
import numpy as np
import PIL
from PIL import Image

values = np.array([0, 256, 32768, 65280, 65407, 65408, 65535], np.uint16)
image = np.repeat(np.repeat(values[None, :, None], 3, axis=2), 8, axis=0)
stream = imagecodecs.jpeg2k_encode(image, 0, codecformat="jp2", reversible=True, planar=False)
assert np.array_equal(imagecodecs.jpeg2k_decode(stream), image), "the codestream is lossless"
shown = np.asarray(Image.open(io.BytesIO(stream)))
print(f"Pillow {PIL.__version__}, mode RGB")
for value, level in zip(values, shown[0, :, 0]):
    print(f"  {value:5} of 65535 -> {level:3} of 255")
sys.exit(shown[0, :, 0].tolist() != [0, 1, 128, 255, 255, 0, 0])
PY
echo "as described"
