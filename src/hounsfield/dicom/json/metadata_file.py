"""Metadata files in DICOM JSON (PS3.18 Annex F): one data set, or a list of them.

[ {no SOPInstanceUID}, {SOPInstanceUID 1.2}, … ]  ─▶  for every instance: the first, and the one with its UID
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from hounsfield.dicom.io.limits import MEBIBYTE
from hounsfield.dicom.json.reader import tag_of_json
from hounsfield.dicom.values.errors import DicomError

MOST_BYTES: Final = 32 * MEBIBYTE
"""Bytes that a metadata file may have."""

MOST_VALUES: Final = 1_000_000
"""Commas and opening brackets that a metadata file may have: about what it has members and values."""

_SOP_INSTANCE_UID: Final = 0x00080018
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

DataSet = dict[str, object]


class MetadataFile:
    """The data sets of a file, those of single instances as compact text.

    Parameters
    ----------
    data : bytes
        UTF-8 JSON.

    Raises
    ------
    DicomError
        The file is too large, or not what Annex F describes; the message has no values.
    """

    def __init__(self, data: bytes) -> None:
        check_size(len(data))
        # Counted before anything is made of it: a short text can stand for very many objects.
        if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
            raise DicomError(f"it has more than {MOST_VALUES} members and values")
        try:
            content = orjson.loads(data.removeprefix(_BYTE_ORDER_MARK))
        except orjson.JSONDecodeError as error:
            raise DicomError(f"it is not JSON (line {error.lineno}, column {error.colno})") from error
        data_sets = content if isinstance(content, list) else [content]
        self._common: DataSet = {}
        by_instance: dict[str, DataSet] = {}
        for data_set in data_sets:
            if not isinstance(data_set, dict):
                raise DicomError("it must be a data set or a list of data sets in the DICOM JSON model")
            uid = _instance_of(data_set)
            (self._common if uid is None else by_instance.setdefault(uid, {})).update(data_set)
        try:
            self._by_instance = {uid: orjson.dumps(data_set) for uid, data_set in by_instance.items()}
            self.size = len(orjson.dumps(self._common)) + sum(map(len, self._by_instance.values()))
        except orjson.JSONEncodeError as error:
            raise DicomError("its sequences are nested too deeply") from error

    def data_sets(self, sop_uid: str) -> Iterator[DataSet]:
        """Yield the data sets for an instance, the more particular one last."""
        if self._common:
            yield self._common
        if sop_uid in self._by_instance:
            yield orjson.loads(self._by_instance[sop_uid])


def check_size(size: int) -> None:
    """Check the size in bytes before a file is read; raises `DicomError`."""
    if size > MOST_BYTES:
        raise DicomError(f"it has {size} bytes, at most {MOST_BYTES} are allowed")


def _instance_of(data_set: DataSet) -> str | None:
    """Return the SOP Instance UID that a data set carries."""
    attribute = next((value for key, value in data_set.items() if tag_of_json(key) == _SOP_INSTANCE_UID), None)
    if attribute is None:
        return None
    match attribute:
        case {"vr": "UI", "Value": [str(uid)]} if uid.strip():
            return uid.strip()
    raise DicomError("SOPInstanceUID (0008,0018) must have the vr UI and one value")
