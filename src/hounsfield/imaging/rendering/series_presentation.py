"""Cache of presentations of a series: most instances of an image set are shown in the same way.

data set ─▶ compared with one of the image set ─┬─ differs in nothing that says how it is shown ─▶ the display of that one
                                                └─ differs ─▶ read as `hounsfield.imaging.rendering.presentation` does
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from hounsfield.dicom.io.file_template import FileTemplate, pieces_of
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.rendering.presentation import (
    PRESENTATION_TAGS,
    InstancePresentation,
    StoredPixels,
    read_presentation,
)
from hounsfield.imaging.retrieve.stored_data_set import UneditedDataSet
from hounsfield.storage.lru_cache import SharedCache

_KEPT_BYTES: Final = 16 << 20
_TIMES_LARGER: Final = 16
"""How much more memory a template takes than its file: every element of it is an object."""


@dataclass(frozen=True, slots=True)
class _KnownPresentation:
    """An instance of an image set and how it is shown."""

    template: FileTemplate
    pixels: StoredPixels
    presentation: InstancePresentation
    size: int


class SeriesPresentations:
    """Finds how instances that nothing was edited of are shown, and keeps one of each image set; for several threads."""

    def __init__(self) -> None:
        self._kept: SharedCache[tuple[str, int], _KnownPresentation] = SharedCache(_KEPT_BYTES, attrgetter("size"))

    def find(self, version: tuple[str, int], data_set: UneditedDataSet, pixels: StoredPixels) -> InstancePresentation:
        """Return how an instance is shown.

        Parameters
        ----------
        version : tuple of (str, int)
            The image set that it is in, and its version.
        data_set : UneditedDataSet
            Its data set.
        pixels : StoredPixels
            How its pixel data is stored.

        Raises
        ------
        PixelError
            Its pixel data cannot be shown.
        """
        known = self._kept.get(version)
        if known is not None and known.pixels == pixels:
            differing = known.template.differing(data_set.data)
            if differing is not None and PRESENTATION_TAGS.isdisjoint(element.tag for element in differing):
                return known.presentation
        part10 = data_set.read()
        presentation = read_presentation(part10, part10, pixels)
        if known is None:
            self._keep(version, part10, pixels, presentation)
        return presentation

    def _keep(
        self, version: tuple[str, int], part10: Part10, pixels: StoredPixels, presentation: InstancePresentation
    ) -> None:
        try:
            template = FileTemplate(part10, pieces_of(part10))
        except DicomError:
            return
        size = _TIMES_LARGER * len(part10.header) + presentation.size
        self._kept.put(version, _KnownPresentation(template, pixels, presentation, size))
