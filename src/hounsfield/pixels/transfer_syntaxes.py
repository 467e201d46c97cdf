"""Storage of each transfer syntax's pixel data, as one table.

    transfer syntax ─▶ TRANSCODE    decode, encode in the data store's lossless format, verify
                       KEEP_FRAMES  each frame as it came
                       KEEP_VIDEO   the whole stream as one object
                       BLOB         not supported: the value as one object, with import warning 0xB120

Samples of one bit that came uncompressed, or deflated, are the exception: they stay packed, frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
JPEG_XL_RECOMPRESSION = "1.2.840.10008.1.2.4.111"

JPEG = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in ("50", "51", "57", "70"))
"""Transfer syntaxes of JPEG codestreams (ITU-T T.81)."""
JPEG_LOSSLESS = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in ("57", "70"))
"""Those of them that lose nothing."""

NATIVE = frozenset(
    {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
)
"""Transfer syntaxes whose pixel data is not encapsulated."""

NATIVE_SAMPLES = NATIVE | {ENCAPSULATED_UNCOMPRESSED, DEFLATED_IMAGE_FRAME}
"""Transfer syntaxes whose frames are native samples, encapsulated and deflated or not."""

WITHOUT_PIXELS = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in ("94", "95", "204", "205"))
"""Transfer syntaxes (JPIP) whose data sets name their pixels by Pixel Data Provider URL (0028,7FE0) and hold none."""


class LosslessFormat(StrEnum):
    """Format of losslessly stored frames (``losslessStorageFormat`` of CreateDatastore)."""

    HTJ2K = "HTJ2K"
    JPEG_2000_LOSSLESS = "JPEG_2000_LOSSLESS"

    @property
    def transfer_syntax(self) -> str:
        """Transfer syntax of the stored frames."""
        return HTJ2K_LOSSLESS_RPCL if self is LosslessFormat.HTJ2K else JPEG_2000_LOSSLESS


class ChecksumType(StrEnum):
    """What the checksums of frames are taken over."""

    DECOMPRESSED = "DECOMPRESSED"
    COMPRESSED = "COMPRESSED"


class TreatmentKind(Enum):
    """What is done with pixel data on import."""

    TRANSCODE = "transcode"
    KEEP_FRAMES = "keep frames"
    KEEP_VIDEO = "keep video"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done with the pixel data of an instance.

    Attributes
    ----------
    kind : TreatmentKind
        What is done.
    stored_transfer_syntax : str
        Transfer syntax of what is stored.
    checksum_type : ChecksumType
        What checksums are taken over.
    """

    kind: TreatmentKind
    stored_transfer_syntax: str
    checksum_type: ChecksumType


_4 = "1.2.840.10008.1.2.4."

_TRANSCODED = (
    *NATIVE_SAMPLES,
    *(_4 + part for part in ("51", "57", "70", "80", "81", "90", "92", "93", "110", "201", "202")),
    "1.2.840.10008.1.2.5",
)
_KEPT_FRAMES = tuple(_4 + part for part in ("50", "91", "111", "112", "203"))
_KEPT_VIDEO = (
    *(_4 + part + kind for part in ("100", "101", "102", "103", "104", "105", "106") for kind in ("", ".1")),
    *(_4 + part for part in ("107", "108")),
)

TABLE = MappingProxyType(
    dict.fromkeys(_TRANSCODED, TreatmentKind.TRANSCODE)
    | dict.fromkeys(_KEPT_FRAMES, TreatmentKind.KEEP_FRAMES)
    | dict.fromkeys(_KEPT_VIDEO, TreatmentKind.KEEP_VIDEO)
)
"""Every supported transfer syntax; whatever is not in it is a BLOB."""


def find_treatment(transfer_syntax: str, *, lossless: LosslessFormat, bits_allocated: int) -> Treatment:
    """Say what is done with pixel data.

    Parameters
    ----------
    transfer_syntax : str
        UID of the transfer syntax of the file.
    lossless : LosslessFormat
        Lossless format of the data store.
    bits_allocated : int
        Bits Allocated; native samples of 1 bit (binary segmentation) are kept, packed, each frame beginning at a
        byte, in Explicit VR Little Endian.
    """
    kind = TABLE.get(transfer_syntax, TreatmentKind.BLOB)
    if kind is not TreatmentKind.TRANSCODE:
        return Treatment(kind, transfer_syntax, ChecksumType.COMPRESSED)
    if bits_allocated == 1 and transfer_syntax in NATIVE_SAMPLES:
        return Treatment(TreatmentKind.KEEP_FRAMES, EXPLICIT_VR_LITTLE_ENDIAN, ChecksumType.COMPRESSED)
    return Treatment(kind, lossless.transfer_syntax, ChecksumType.DECOMPRESSED)
