#!/usr/bin/env bash
# One would guess: what highdicom reads of a label map, segment by segment, is what the label map says, as all segment numbers of 16 bits are valid.
# What happens: `Segmentation.get_pixels_by_source_instance` of highdicom 0.28.2, with `combine_segments` at its default, compares labels in 8 bits:
#   pixels of segment 257 are given as those of segment 1, and those of segments 256 and 303 as none. Nothing raises. `combine_segments=True` and
#   `pixel_array` give the right labels.
# Why it matters: an atlas has more than 255 regions; one of them comes back as another organ, or is missing. A test that takes this for the truth
#   finds fault with a viewer that is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check "highdicom==0.28.2" "pydicom==3.0.2" 2>/dev/null
cat > "$folder/labels.py" <<'PY'
import logging
import sys
import warnings

import highdicom as hd
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.sr.codedict import codes

warnings.simplefilter("ignore")
logging.disable()
image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
found = {}
for number in (255, 256, 257, 303):
    labels = np.zeros((1, image.Rows, image.Columns), np.uint16)
    labels[0, :10], labels[0, 20:25] = 1, number
    segments = [
        hd.seg.SegmentDescription(one, f"Segment {one}", codes.SCT.Organ, codes.SCT.Liver, "MANUAL") for one in (1, number)
    ]
    file = hd.seg.Segmentation(
        [image], labels, "LABELMAP", segments, hd.UID(), 1, hd.UID(), 1, "Maker", "Model", "1", "1"
    )
    assert (file.pixel_array == labels[0]).all()
    uids = [image.SOPInstanceUID]
    masks = file.get_pixels_by_source_instance(uids)
    whole = file.get_pixels_by_source_instance(uids, combine_segments=True)
    found[number] = tuple(int(masks[..., one].sum()) for one in range(2))
    print(f"highdicom {hd.__version__}: segments 1 and {number} have {(labels == 1).sum()} and {(labels == number).sum()} pixels;",
          f"masks have {found[number]}, labels together are {np.unique(whole).tolist()}")
rows = image.Columns
sys.exit(found != {255: (10 * rows, 5 * rows), 256: (10 * rows, 0), 257: (15 * rows, 0), 303: (10 * rows, 0)})
PY
"$folder/python/bin/python" "$folder/labels.py"
echo "as described"
