"""The context of the DICOMweb operations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.scheduler import IngestScheduler
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.rendering.rendered import FrameRenderer
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation of DICOMweb works on.

    Attributes
    ----------
    image_store : ImageStore
        The domain's stores.
    metadata : DicomMetadataReader
        Makes and keeps metadata in DICOM JSON.
    receiver : Receiver
        Takes instances that are stored.
    scheduler : IngestScheduler
        Gathers what requests have to store for the workers.
    spool : Path
        Folder where large files wait while they arrive.
    renderer : FrameRenderer
        Makes and keeps rendered frames.
    deletes : bool
        Whether DELETE is allowed.
    classic_searches : bool
        Whether the actions of searches within a study or series also grant those across them.
    descriptions_ignore_case : bool
        Whether searches match descriptions without regard to case.
    """

    image_store: ImageStore
    metadata: DicomMetadataReader
    receiver: Receiver
    scheduler: IngestScheduler
    spool: Path
    renderer: FrameRenderer
    deletes: bool = False
    classic_searches: bool = False
    descriptions_ignore_case: bool = False
