"""Deflated data sets (PS3.5 section A.5): inflation in steps with a bound."""

from __future__ import annotations

import zlib

from hounsfield.dicom.io.byte_source import ByteSource
from hounsfield.dicom.values.errors import DicomError

_INPUT_STEP = 1 << 18
_OUTPUT_STEP = 1 << 22


def inflate(source: ByteSource, offset: int, limit: int) -> bytearray:
    """Inflate everything from an offset to the end of a source.

    The stream is a raw deflate stream (RFC 1951). Streams wrapped in a zlib header (RFC 1950), which some writers
    produce, are read too.

    Parameters
    ----------
    source : ByteSource
        The file.
    offset : int
        Start of the deflated data set.
    limit : int
        Largest number of bytes to produce.

    Returns
    -------
    bytearray
        The inflated data set.

    Raises
    ------
    DicomError
        When the stream is damaged, ends early, or inflates to more than `limit` bytes.
    """
    head = source.read(offset, 2)
    if len(head) == 2 and head[0] & 0x0F == 8 and not int.from_bytes(head, "big") % 31:
        try:
            return _run(zlib.decompressobj(zlib.MAX_WBITS), source, offset, limit)
        except zlib.error:
            pass
    try:
        return _run(zlib.decompressobj(-zlib.MAX_WBITS), source, offset, limit)
    except zlib.error as error:
        raise DicomError(f"The deflated data set at offset {offset} cannot be inflated; it is damaged") from error


def _run(stream: zlib._Decompress, source: ByteSource, offset: int, limit: int) -> bytearray:
    """Drive one decompressor over the source."""
    result = bytearray()
    position = offset
    pending = b""
    while not stream.eof:
        if not pending:
            pending = source.read(position, _INPUT_STEP)
            position += len(pending)
            if not pending:
                raise DicomError(f"The deflated data set at offset {offset} ends before the end of its stream")
        result += stream.decompress(pending, min(_OUTPUT_STEP, limit + 1 - len(result)))
        pending = stream.unconsumed_tail
        if len(result) > limit:
            raise DicomError(f"The deflated data set at offset {offset} inflates to more than {limit} bytes")
    return result


def deflate(data: bytes) -> bytes:
    """Deflate a data set to a raw stream (RFC 1951) of even length.

    Parameters
    ----------
    data : bytes
        Explicit VR Little Endian data set.

    Returns
    -------
    bytes
        The stream, padded with one zero byte when its length is odd (PS3.5 section A.5).
    """
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(data) + packer.flush()
    return stream + b"\0" * (len(stream) & 1)
