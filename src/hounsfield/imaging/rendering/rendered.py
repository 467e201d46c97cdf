"""Rendered frames and thumbnails of instances, series and studies (PS3.18 sections 10.4.1.1.3 and 10.4.1.1.4).

    UIDs ─▶ RenderingTarget: what can be shown, and its version ─▶ display (kept) ─▶ stored frame ─▶ rendered ─▶ picture (kept)

What is kept is named by the version of the image set: an update makes other pictures, no old one is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

from hounsfield.imaging.errors import InvalidRequestError, NotAcceptableError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.rendering.presentation import InstancePresentation, StoredPixels, read_presentation
from hounsfield.imaging.rendering.series_presentation import SeriesPresentations
from hounsfield.imaging.retrieve.data_set import read_current_data_set
from hounsfield.imaging.retrieve.decode_check import may_not_decode
from hounsfield.imaging.retrieve.instance_frames import check_numbers
from hounsfield.imaging.retrieve.instance_order import list_instances_in_order, sort_series
from hounsfield.imaging.retrieve.instances import (
    ReadableImageSet,
    StoredInstance,
    find_image_set,
    find_instance,
    find_primary_image_sets,
)
from hounsfield.imaging.retrieve.object_frames import check_last, cut_object_frames
from hounsfield.imaging.retrieve.pixel_reader import find_stored_pixels, read_pixel_records
from hounsfield.imaging.retrieve.stored_data_set import read_unedited_data_set
from hounsfield.imaging.retrieve.stored_frames import StoredFrames, find_frame, find_frames_by_uids, read_frame
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.rendering.render import Appearance, render_frame
from hounsfield.pixels.rendering.viewport import locate_region
from hounsfield.storage.lru_cache import SharedCache

_DISPLAY_BYTES: Final = 32 << 20
_SHOWABLE: Final = (PixelKind.FRAMES, PixelKind.DAMAGED, PixelKind.WHOLE)
_CHOICES: Final = 4096
_CANDIDATES: Final = 16
"""Frames, or instances of a series, that are tried at most to find one that stands for all of them."""


_FoundPresentation: TypeAlias = "tuple[tuple[str, int, str], InstancePresentation]"


class InstanceName(NamedTuple):
    """The UIDs that name an instance, and its image set where it is not the primary one."""

    datastore_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    image_set_id: str | None = None


@dataclass(frozen=True, slots=True)
class RenderingTarget:
    """An instance that pictures are to be made of, found the short way or the other.

    Attributes
    ----------
    access : ImageSetAccess
        What the caller may read.
    name : InstanceName
        Its UIDs.
    identity : tuple of (str, int, str)
        Image set, version and key of the instance: everything that its pictures depend on.
    found : StoredFrames or None
        Where its frames are, when it was found the short way.
    instance : StoredInstance or None
        The instance, when it was found the other way.
    """

    access: ImageSetAccess = field(repr=False, compare=False)
    name: InstanceName
    identity: tuple[str, int, str]
    found: StoredFrames | None = field(default=None, repr=False)
    instance: StoredInstance | None = field(default=None, repr=False)

    @property
    def may_not_decode(self) -> bool:
        """Whether its frames were kept as they came, so that one may turn out not to decode."""
        if self.instance is not None:
            return may_not_decode(self.instance.pixel_kind, self.instance.stored_transfer_syntax)
        return self.found is not None and may_not_decode(self.found.pixel_kind, self.found.transfer_syntax)

    @property
    def tag(self) -> str:
        """Changes whenever a picture of the instance may."""
        image_set_id, version, key = self.identity
        return f"{image_set_id}-{version}-{key}"


class FrameRenderer:
    """Makes pictures, and keeps the last ones.

    Parameters
    ----------
    image_store : ImageStore
        Where the instances are.
    capacity : int
        How many bytes of pictures are kept; 0 for none.
    """

    def __init__(self, image_store: ImageStore, capacity: int) -> None:
        self._image_store = image_store
        self._rendered: SharedCache[tuple[tuple[str, int, str], int, Appearance], bytes] = SharedCache(capacity, len)
        self._presentations: SharedCache[tuple[str, int, str], InstancePresentation] = SharedCache(
            _DISPLAY_BYTES, attrgetter("size")
        )
        self._series = SeriesPresentations()
        self._representatives: SharedCache[tuple[str, int], str] = SharedCache(_CHOICES, lambda _: 1)

    def find(self, access: ImageSetAccess, name: InstanceName) -> RenderingTarget:
        """Find an instance; raises `NotFoundError`, and what ``access`` raises where the caller may not read it."""
        if name.image_set_id is None:
            found = find_frames_by_uids(self._image_store, access, *name[:4])
            if found is not None:
                return RenderingTarget(
                    access, name, (found.image_set_id, found.version, found.instance_key), found=found
                )
        return _make_target(access, find_instance(self._image_store, access, *name), name)

    def frame(self, target: RenderingTarget, number: int, appearance: Appearance) -> bytes:
        """Return the picture of a frame, counted from 1.

        Raises
        ------
        NotFoundError
            The instance has no such frame.
        InvalidRequestError
            The viewport is not within the frame.
        NotAcceptableError
            No picture can be made of it.
        """
        key = (target.identity, number, appearance)
        kept = self._rendered.get(key)
        if kept is not None:
            self._image_store.accesses.touch(target.identity[0])
            return kept
        presentation = self.presentation(target)
        check_last([number], presentation.frame_count)
        format_ = presentation.first.format
        if appearance.viewport is not None:
            try:
                locate_region(appearance.viewport, format_.rows, format_.columns)
            except PixelError as error:
                raise InvalidRequestError(str(error)) from error
        encoded = self._encoded(target, number)
        try:
            picture = render_frame(encoded, presentation.of_frame(number), appearance)
        except PixelError as error:
            raise NotAcceptableError(f"no picture can be made of frame {number}: {error}") from error
        self._rendered.put(key, picture)
        return picture

    def candidates(self, target: RenderingTarget) -> list[int]:
        """List a few frames that can stand for an instance, the best first; `NotAcceptableError` when it cannot be shown.

        It is the frame that the data set names, or the middle one, and where that does not decode one near it.
        """
        presentation = self.presentation(target)
        count = presentation.frame_count
        named = presentation.representative
        first = named if named is not None and 1 <= named <= count else count // 2 + 1
        near = (first + step * side for step in range(1, count) for side in (1, -1))
        return [first, *itertools.islice((number for number in near if 1 <= number <= count), _CANDIDATES)]

    def check_frames(self, target: RenderingTarget, numbers: Sequence[int]) -> None:
        """Check a frame list; raises `InvalidRequestError` and `NotFoundError`."""
        if target.instance is not None:
            check_numbers(target.instance, numbers)
        elif min(numbers) < 1 or len(set(numbers)) != len(numbers):
            raise InvalidRequestError("the frame list must name frames from 1 on, each of them once")
        check_last(numbers, self.presentation(target).frame_count)

    def presentation(self, target: RenderingTarget) -> InstancePresentation:
        """Return how an instance is shown; raises `NotAcceptableError` when it cannot be."""
        kept = self._presentations.get(target.identity)
        if kept is not None:
            return kept
        try:
            identity, presentation = self._read_stored_presentation(target) or self._read_edited_presentation(target)
        except PixelError as error:
            raise NotAcceptableError(f"no picture can be made of the instance: {error}") from error
        self._presentations.put(identity, presentation)
        return presentation

    def _read_stored_presentation(self, target: RenderingTarget) -> _FoundPresentation | None:
        """Read how an instance is shown that nothing was edited of; None for others."""
        found = target.found
        data_set = found and read_unedited_data_set(self._image_store, found)
        if found is None or data_set is None:
            return None
        pixels = StoredPixels(PixelKind.FRAMES, data_set.frame_count, found.transfer_syntax)
        return target.identity, self._series.find((found.image_set_id, found.version), data_set, pixels)

    def _read_edited_presentation(self, target: RenderingTarget) -> _FoundPresentation:
        instance = target.instance or find_instance(self._image_store, target.access, *target.name)
        data_set = read_current_data_set(self._image_store, instance)
        pixels = StoredPixels(instance.pixel_kind, instance.frame_count, instance.stored_transfer_syntax)
        return _identity(instance), read_presentation(data_set.part10, data_set.original, pixels)

    def series(self, access: ImageSetAccess, image_set: ReadableImageSet) -> list[RenderingTarget]:
        """List the instances of an image set that have pixel data, by Instance Number."""
        found = list_instances_in_order(self._image_store, image_set)
        return [_make_target(access, instance) for instance in found if instance.pixel_kind in _SHOWABLE]

    def representatives(
        self, access: ImageSetAccess, image_sets: Sequence[ReadableImageSet]
    ) -> Iterator[RenderingTarget]:
        """Choose instances that can stand for image sets, the best first: of each set the middle one that can be shown.

        Those behind the first ones of all sets are a few others of each, for where no picture can be made of these.
        """
        for image_set in image_sets:
            key = (image_set.image_set_id, image_set.version)
            sop_uid = self._representatives.get(key)
            if sop_uid is None:
                sop_uid = next(self._showable(self.series(access, image_set)), "")
                self._representatives.put(key, sop_uid)
            if sop_uid:
                yield self._within(access, image_set, sop_uid)
        for image_set in image_sets:
            others = itertools.islice(self._showable(self.series(access, image_set)), 1, _CANDIDATES)
            yield from (self._within(access, image_set, sop_uid) for sop_uid in others)

    def _within(self, access: ImageSetAccess, image_set: ReadableImageSet, sop_uid: str) -> RenderingTarget:
        within = None if image_set.is_primary else image_set.image_set_id
        return self.find(
            access, InstanceName(image_set.datastore_id, image_set.study_uid, image_set.series_uid, sop_uid, within)
        )

    def find_series(
        self, access: ImageSetAccess, datastore_id: str, study_uid: str, series_uid: str, image_set_id: str | None
    ) -> ReadableImageSet:
        """Find the image set of a series; raises as `hounsfield.imaging.retrieve.instances.find_image_set` does."""
        return find_image_set(self._image_store, access, datastore_id, study_uid, series_uid, image_set_id)

    def find_study(self, access: ImageSetAccess, datastore_id: str, study_uid: str) -> list[ReadableImageSet]:
        """Find primary image sets, by Series Number; raises as `find_primary_image_sets` does."""
        return sort_series(find_primary_image_sets(self._image_store, access, datastore_id, study_uid))

    def _showable(self, instances: Sequence[RenderingTarget]) -> Iterator[str]:
        """Yield the SOP Instance UIDs of those that can be shown, what is nearest the middle first."""
        middle = len(instances) // 2
        for target in sorted(instances, key=_distance_from(instances, middle)):
            try:
                self.presentation(target)
            except NotAcceptableError:
                continue
            yield target.name.sop_uid

    def _encoded(self, target: RenderingTarget, number: int) -> bytes:
        image_store, name = self._image_store, target.name
        if target.found is not None:
            frame = find_frame(image_store, target.found, number - 1)
            if frame is not None:
                return bytes(read_frame(image_store, frame))
        instance = target.instance or find_instance(image_store, target.access, *name)
        image_store.accesses.touch(instance.image_set.image_set_id)
        if instance.pixel_kind.in_frames:
            return next(read_pixel_records(image_store, instance, [number - 1]))
        original = read_current_data_set(image_store, instance).original
        return b"".join(next(cut_object_frames(original, find_stored_pixels(image_store, instance), [number])).chunks)


def _distance_from(instances: Sequence[RenderingTarget], middle: int) -> Callable[[RenderingTarget], int]:
    places = {target.identity: abs(place - middle) for place, target in enumerate(instances)}
    return lambda target: places[target.identity]


def _make_target(access: ImageSetAccess, instance: StoredInstance, name: InstanceName | None = None) -> RenderingTarget:
    image_set = instance.image_set
    within = None if image_set.is_primary else image_set.image_set_id
    found = InstanceName(image_set.datastore_id, image_set.study_uid, image_set.series_uid, instance.sop_uid, within)
    return RenderingTarget(access, name or found, _identity(instance), instance=instance)


def _identity(instance: StoredInstance) -> tuple[str, int, str]:
    return instance.image_set.image_set_id, instance.image_set.version, instance.key
