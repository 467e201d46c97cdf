#!/usr/bin/env bash
# One would guess: a JavaScript decoder of HTJ2K gives the samples of three components pixel by pixel, with or without the colour transform
#   of JPEG 2000, which is an option of the codestream; or it throws.
# What happens: @cornerstonejs/codec-openjph 2.4.11 gives components without the transform in another order of lines: nearly all samples are
#   wrong, the size is right, nothing is thrown, and getFrameInfo() tells isUsingColorTransform false. With the transform they are exact.
#   @cornerstonejs/codec-openjpeg 1.3.6 gives both right.
# Why it matters: it is the HTJ2K decoder of Cornerstone and OHIF. PS3.5 8.2.14 asks for no transform where Photometric Interpretation is YBR_FULL:
#   such images are noise there. Encode three components with the transform, or give them native.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check imagecodecs==2026.3.6 numpy==2.4.6 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @cornerstonejs/codec-openjph@2.4.11 @cornerstonejs/codec-openjpeg@1.3.6
venv/bin/python - <<'PY'
import imagecodecs
import numpy as np

image = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
image.tofile("samples")
for name, transform in (("with", True), ("without", False)):
    stream = imagecodecs.htj2k_encode(image, reversible=True, rgb=transform, planar=False)
    assert np.array_equal(imagecodecs.htj2k_decode(stream, planar=False), image)
    assert np.array_equal(imagecodecs.jpeg2k_decode(stream, planar=False), image)
    open(name, "wb").write(stream)
PY
cat > decode.cjs <<'JS'
const fs = require("node:fs");
const samples = fs.readFileSync("samples");
(async () => {
  const decoders = {
    "codec-openjph": (await require("@cornerstonejs/codec-openjph")()).HTJ2KDecoder,
    "codec-openjpeg": (await require("@cornerstonejs/codec-openjpeg/wasmjs")()).J2KDecoder,
  };
  const found = [];
  for (const [name, Decoder] of Object.entries(decoders))
    for (const transform of ["with", "without"]) {
      const decoder = new Decoder();
      const stream = fs.readFileSync(transform);
      decoder.getEncodedBuffer(stream.length).set(stream);
      decoder.decode();
      const decoded = Buffer.from(decoder.getDecodedBuffer());
      const wrong = samples.filter((sample, at) => sample !== decoded[at]).length;
      console.log(`${name}, ${transform} transform: ${wrong} of ${samples.length} samples are wrong`);
      found.push(wrong > 0);
    }
  process.exit(String(found) === "false,true,false,false" ? 0 : 1);
})();
JS
node decode.cjs
echo "as described"
