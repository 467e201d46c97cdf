"""Leniencies: what is read although PS3.5 or PS3.10 does not allow it, and the warning for it.

    reader ─▶ Irregularities.note(leniency, tag) ─▶ warnings of the instance

Every leniency has a row in `Leniency` and a bound; all else that is wrong makes the file fail.
"""

from __future__ import annotations

from enum import Enum

from hounsfield.dicom.values.dictionary import element_name
from hounsfield.dicom.values.errors import DicomError
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode

MOST_NAMED = 16
"""Warnings of one leniency that are written out; more are counted."""


class Leniency(Enum):
    """Irregular encodings that are read; the value is the code of the warning and its text."""

    UNKNOWN_VR = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "{element} has a value representation that DICOM does not know; that of the dictionary was taken, or UN.",
    )
    IMPLICIT_ELEMENT = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "{element} has no value representation in a data set of explicit VR; that of the dictionary was taken, or UN.",
    )
    OTHER_ENCODING = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "The data set is not encoded with the explicit or implicit VR that {element} says; it was read as it is.",
    )
    NO_SEQUENCE = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "{element} is a sequence by the dictionary, but its value has no items; it was kept as UN.",
    )
    BLANK_SEQUENCE = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "{element} is a sequence, but its value is blank; it was read as one without items.",
    )
    STRAY_DELIMITER = (
        WarningCode.ELEMENTS_DISCARDED,
        "A delimiter {element} stands outside a sequence; it was left out.",
    )
    FILE_META_IN_DATA_SET = (
        WarningCode.ELEMENTS_DISCARDED,
        "{element} belongs to the file meta information and stands in the data set; it was left out.",
    )
    FILE_META_LENGTH = (
        WarningCode.COERCION_OF_DATA_ELEMENTS,
        "{element} does not say where the file meta information ends; it was read to its last element.",
    )

    @property
    def code(self) -> WarningCode:
        """Reason of the warning."""
        return self.value[0]

    def text(self, tag: int) -> str:
        """Say what was wrong with an element; names it, never its value."""
        return self.value[1].format(element=element_name(tag))


_ABOUT_FILE_META = (Leniency.OTHER_ENCODING, Leniency.FILE_META_LENGTH)


class Irregularities:
    """What was read of one file although it is wrong, each leniency once per element tag.

    Parameters
    ----------
    most : int
        How often leniencies may be needed.
    """

    __slots__ = ("_left", "_most", "_noted")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._noted: dict[tuple[Leniency, int], None] = {}

    def note(self, leniency: Leniency, tag: int) -> None:
        """Note that an element was read although it is wrong.

        Raises
        ------
        DicomError
            There are too many: the bytes are no data set with a few mistakes.
        """
        self._left -= 1
        if self._left < 0:
            raise DicomError(
                f"More than {self._most} elements are not encoded as DICOM asks; the last one is {element_name(tag)}"
            )
        self._noted[leniency, tag] = None

    @property
    def are_in_data_set(self) -> bool:
        """Whether elements of the data set are among them, and not only how it is said to be encoded."""
        return any(leniency not in _ABOUT_FILE_META for leniency, _ in self._noted)

    def warnings(self) -> tuple[ImportWarning, ...]:
        """Write a warning for each; of one leniency at most `MOST_NAMED`, and one that counts the others."""
        result = []
        for leniency in Leniency:
            tags = [tag for noted, tag in self._noted if noted is leniency]
            result += [ImportWarning(leniency.code, leniency.text(tag)) for tag in tags[:MOST_NAMED]]
            if len(tags) > MOST_NAMED:
                text = f"{len(tags) - MOST_NAMED} more elements are irregular in the same way."
                result.append(ImportWarning(leniency.code, text))
        return tuple(result)
