"""The picture of the demo: the phantom in four views.

DICOMweb rendered ─▶ heart │ liver and kidneys │ coronal │ sagittal ◀─ frames that were read back
"""

from __future__ import annotations

from typing import Any, Final

import imagecodecs
import numpy as np
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from numpy.typing import NDArray

from hounsfield.iam.root_credentials import AccessKey
from hounsfield.phantom.ct_series import SERIES_UID, STUDY_UID, phantom_uid
from hounsfield.phantom.volume import PIXEL_SPACING, SLICE_SPACING
from hounsfield.settings import Settings

HEART_IMAGE: Final = 95
ABDOMEN_IMAGE: Final = 153
"""InstanceNumber of the images that the server renders."""
_CORONAL_ROW: Final = 255
_SAGITTAL_COLUMN: Final = 262
_AXIAL_ROWS: Final = slice(50, 479)
_COLUMNS: Final = slice(16, 496)
_SAGITTAL_ROWS: Final = slice(75, 405)
_WINDOW_CENTRE, _WINDOW_WIDTH = 40.0, 400.0
_GAP: Final = 6


class RenderingError(Exception):
    """The server did not answer with a picture."""


def rendered_url(url: str, datastore_id: str, number: int) -> str:
    """Return the DICOMweb URL of an image of the phantom as a picture, in the window for soft tissue.

    Parameters
    ----------
    url : str
        The server.
    datastore_id : str
        The data store.
    number : int
        InstanceNumber of the image.
    """
    instance = f"studies/{STUDY_UID}/series/{SERIES_UID}/instances/{phantom_uid('image', str(number))}"
    return f"{url}/datastore/{datastore_id}/{instance}/rendered?window={_WINDOW_CENTRE:.0f},{_WINDOW_WIDTH:.0f},linear"


def four_views(
    settings: Settings, url: str, key: AccessKey, datastore_id: str, volume: NDArray[np.int16]
) -> NDArray[np.uint8]:
    """Return the phantom in four views, side by side; shape (rows, columns).

    Parameters
    ----------
    settings : Settings
        The installation.
    url : str
        The server.
    key : AccessKey
        Signs the requests.
    datastore_id : str
        The data store.
    volume : ndarray
        Hounsfield units as they were read back, int16 of shape (slices, rows, columns).

    Raises
    ------
    RenderingError
        The server did not answer with a picture.
    """
    heart, abdomen = (
        _rendered(settings, rendered_url(url, datastore_id, number), key) for number in (HEART_IMAGE, ABDOMEN_IMAGE)
    )
    views = [
        heart[_AXIAL_ROWS, _COLUMNS],
        abdomen[_AXIAL_ROWS, _COLUMNS],
        _upright(volume[:, _CORONAL_ROW, _COLUMNS]),
        _upright(volume[:, _SAGITTAL_ROWS, _SAGITTAL_COLUMN]),
    ]
    height = min(len(view) for view in views)
    gap = np.zeros((height, _GAP), np.uint8)
    return np.hstack([part for view in views for part in (view[:height], gap)][:-1])


def _rendered(settings: Settings, url: str, key: AccessKey) -> NDArray[np.uint8]:
    request = AWSRequest("GET", url, headers={"Accept": "image/png"})
    SigV4Auth(Credentials(key.id, key.secret), "medical-imaging", settings.region).add_auth(request)
    tls = settings.tls
    pool = (
        urllib3.PoolManager()
        if tls is None
        else urllib3.PoolManager(ssl_context=tls.own_context(), assert_hostname=False)
    )
    answer = pool.request("GET", url, headers=dict(request.headers), retries=False)
    if answer.status != 200:
        raise RenderingError(f"The server answered {answer.status} where a picture was asked for.")
    picture: NDArray[np.uint8] = imagecodecs.png_decode(answer.data)
    return picture if picture.ndim == 2 else picture[..., 0]


def _upright(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane along the body in the soft tissue window, with slices as far apart as pixels."""
    values = (plane.astype(np.float32) - (_WINDOW_CENTRE - _WINDOW_WIDTH / 2)) * np.float32(255 / _WINDOW_WIDTH)
    at = np.arange(int(len(plane) * SLICE_SPACING / PIXEL_SPACING) + 1) * (PIXEL_SPACING / SLICE_SPACING)
    at = np.minimum(at, len(plane) - 1)
    above = at.astype(np.intp)
    below = np.minimum(above + 1, len(plane) - 1)
    part = (at - above).astype(np.float32)[:, np.newaxis]
    plane = values[above] * (1 - part) + values[below] * part
    return np.asarray(np.clip(plane, 0, 255), np.uint8)
