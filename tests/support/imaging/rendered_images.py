"""Rendered images as a client gets them, and how near they must be to what is expected."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from support.clients.dicomweb import get
from support.servers import ServerProcess


def picture(content: bytes) -> NDArray[Any]:
    """Return the samples of an image file."""
    return np.asarray(Image.open(io.BytesIO(content)))


def rendered(server: ServerProcess, datastore_id: str, path: str, query: str = "") -> NDArray[Any]:
    """Return the samples of a resource rendered as PNG."""
    answer = get(server, datastore_id, f"{path}/rendered{query}", "image/png")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return picture(answer.content)


def close(found: NDArray[Any], expected: NDArray[Any], tolerance: float = 1.0) -> None:
    """Check that no sample differs by more than ``tolerance``."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(float) - expected).max() <= tolerance


def table(values: NDArray[Any], first: int, bits: int, vr: str = "US") -> Sequence:
    """Return a sequence with a lookup table (PS3.3 section C.11.1.1)."""
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = vr
    item.LUTData = values.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return Sequence([item])
