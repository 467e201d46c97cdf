"""Audit tasks of a runner: delivery, retention, and records of what the service did by itself.

every audit_s3_seconds ─▶ delivery          every hour ─▶ retention
work that changed data is done ─▶ AwsServiceEvent
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import select

from hounsfield.audit.chain_files import ChainFile
from hounsfield.audit.events import AuditEvent, Category, EventType, Json, Origin
from hounsfield.audit.retention import remove_old_files
from hounsfield.audit.s3_delivery import Delivery, DeliveryProgress, deliver_with_retries
from hounsfield.audit.trail import Trail
from hounsfield.bootstrap.audit import SERVICE
from hounsfield.bootstrap.installation import audit_folder, audit_key
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import JobStatus
from hounsfield.imaging.verify.passes import Pass
from hounsfield.imaging.verify.reports import result_of
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import WorkHandler
from hounsfield.settings import Settings
from hounsfield.storage.buckets.buckets import Buckets, S3Uri
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.job_tables import import_jobs, work_items
from hounsfield.storage.db.steady_clock import SteadyClock
from hounsfield.storage.keys.data_key import KeyWrapper

_RETENTION_SECONDS: Final = 3600.0
_SHORTEST_SECONDS: Final = 0.1
_ENDED: Final = {JobStatus.COMPLETED: "ImportJobCompleted", JobStatus.FAILED: "ImportJobFailed"}
_log = structlog.get_logger(__name__)


def make_delivery(settings: Settings, buckets: Buckets) -> Delivery | None:
    """Return what delivers the audit trail; None where it is delivered nowhere."""
    if not settings.audit_s3_uri:
        return None
    uri = S3Uri.parse(settings.audit_s3_uri)
    prefix = f"{uri.key.strip('/')}/" if uri.key.strip("/") else ""
    return Delivery(audit_folder(settings), buckets.open(uri.bucket), prefix, settings.account_id, settings.region)


@dataclass(frozen=True, slots=True)
class AuditMaintenance:
    """Delivers the audit trail and removes what is old, until it is stopped.

    Attributes
    ----------
    folder : Path
        The audit folder.
    key : bytes
        The key of the audit trail.
    delivery : Delivery or None
        Delivers it.
    every_seconds : float
        How often.
    keep_seconds : float
        How long files are kept; 0 for ever.
    clock : SteadyClock
        The time of the installation.
    """

    folder: Path
    key: bytes
    delivery: Delivery | None
    every_seconds: float
    keep_seconds: float
    clock: SteadyClock

    @classmethod
    def of(cls, settings: Settings, image_store: ImageStore, wrapper: KeyWrapper) -> AuditMaintenance:
        """Return the maintenance of an installation."""
        return cls(
            audit_folder(settings),
            audit_key(image_store.database, wrapper),
            make_delivery(settings, image_store.buckets),
            max(_SHORTEST_SECONDS, settings.audit_s3_seconds),
            settings.audit_retention_seconds,
            image_store.queue.clock,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; what is not delivered then is delivered by the next runner."""
        removed_at = float("-inf")
        while not stop.wait(min(self.every_seconds, _RETENTION_SECONDS)):
            if self.delivery is not None:
                deliver_with_retries(self.delivery)
            if self.keep_seconds and time.monotonic() - removed_at >= min(_RETENTION_SECONDS, self.keep_seconds):
                removed_at = time.monotonic()
                self.remove()

    def remove(self) -> None:
        """Remove files that are older than they must be kept, and delivered where they are to be."""
        positions = DeliveryProgress.read(self.folder)

        def may_go(file: ChainFile) -> bool:
            return self.delivery is None or positions.has(file)

        try:
            # A clock that was set ahead removes nothing.
            now = min(time.time(), self.clock.now() / 1000)
            remove_old_files(self.folder, self.key, self.keep_seconds, may_go, now)
        except DatabaseTroubleError as error:
            _log.warning("old audit files cannot be removed now", reason=str(error))
        except OSError as error:
            _log.error("old audit files cannot be removed now", reason=error.strerror)


Describe = Callable[[WorkItem], "tuple[str, Mapping[str, Json], list[str]] | None"]
"""Tells of work that is done: name of the event, its details, ARNs of what was changed; None where it is not done yet."""


@dataclass(frozen=True, slots=True)
class AuditedWorkHandler:
    """Work that is recorded when it is done.

    Attributes
    ----------
    handler : WorkHandler
        Does the work.
    trail : Trail
        Where it is recorded.
    describe : callable
        Tells what was done.
    """

    handler: WorkHandler
    trail: Trail
    describe: Describe

    def run(self, item: WorkItem) -> None:
        """Do the work, then record it."""
        self.handler.run(item)
        self._record(item)

    def give_up(self, item: WorkItem) -> None:
        """Abandon the work, then record that."""
        self.handler.give_up(item)
        self._record(item)

    def _record(self, item: WorkItem) -> None:
        described = self.describe(item)
        if described is None:
            return
        name, details, resources = described
        self.trail.put(
            AuditEvent(
                name=name,
                source=SERVICE,
                time=time.time(),
                origin=Origin(SERVICE, SERVICE),
                category=Category.MANAGEMENT,
                read_only=False,
                resources=resources,
                type=EventType.SERVICE,
                details=details,
            )
        )


def describe_ended_imports(image_store: ImageStore) -> Describe:
    """Return what tells of an import job that has ended."""

    def describe(item: WorkItem) -> tuple[str, Mapping[str, Json], list[str]] | None:
        query = select(import_jobs.c.datastore_id, import_jobs.c.status).where(import_jobs.c.id == item.subject_id)
        with image_store.database.read() as connection:
            job = connection.execute(query).first()
        if job is None or job.status not in _ENDED:
            return None
        details = {"datastoreId": job.datastore_id, "jobId": item.subject_id, "jobStatus": job.status}
        return _ENDED[job.status], details, [image_store.datastore_arn(job.datastore_id)]

    return describe


def describe_released_storage(image_store: ImageStore) -> Describe:
    """Return what tells of a deleted image set whose storage is released, which it is when the work item is gone."""

    def describe(item: WorkItem) -> tuple[str, Mapping[str, Json], list[str]] | None:
        with image_store.database.read() as connection:
            waits = connection.execute(select(work_items.c.id).where(work_items.c.id == item.id)).first()
            query = select(image_sets.c.datastore_id).where(image_sets.c.id == item.subject_id)
            datastore_id = connection.execute(query).scalar()
        if waits is not None or datastore_id is None:
            return None
        details = {"datastoreId": datastore_id, "imageSetId": item.subject_id}
        return "ImageSetStorageReleased", details, [image_store.image_set_arn(datastore_id, item.subject_id)]

    return describe


def record_verifications(trail: Trail) -> Callable[[Pass], None]:
    """Return what records a pass of verification that came to its end."""

    def record(verified: Pass) -> None:
        details: dict[str, Json] = {
            "passId": verified.id,
            "result": result_of(verified),
            "damages": verified.damages,
            "notChecked": verified.unchecked,
            "imageSets": verified.counts["image_sets"],
            "frames": verified.counts["frames"],
            "bytes": verified.counts["bytes"],
        }
        trail.put(
            AuditEvent(
                name="VerificationCompleted",
                source=SERVICE,
                time=time.time(),
                origin=Origin(SERVICE, SERVICE),
                category=Category.MANAGEMENT,
                read_only=True,
                resources=[],
                type=EventType.SERVICE,
                details=details,
            )
        )

    return record
