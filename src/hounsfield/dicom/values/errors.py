"""Errors of files that cannot be read as DICOM.

The messages go to the user who imported the file (`failure.ndjson`). They name tags, keywords, offsets and sizes and
never a value of patient data.
"""


class DicomError(ValueError):
    """The bytes are not a DICOM file that can be stored; the message says why and where."""


class DicomDirectory(DicomError):  # noqa: N818 - says what the file is; that it is an error depends on the caller
    """The file is a DICOMDIR (PS3.3 Annex F): an index of a medium, not an instance, so importers skip it."""


NO_ATTRIBUTES = "DICOM attributes does not exist"
NO_TRANSFER_SYNTAX = "DICOM attribute TransferSyntaxUID does not exist"


def tag_text(tag: int) -> str:
    """Write a tag the way the standard does.

    Parameters
    ----------
    tag : int
        Group in the upper 16 bits, element number in the lower 16.

    Returns
    -------
    str
        ``(GGGG,EEEE)`` in upper-case hexadecimal (PS3.5 section 7.1).
    """
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
