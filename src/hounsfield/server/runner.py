"""The runner process: import jobs, changes of image sets, sweeps.

imports  IMPORT                              slots of their own, and a pool of processes that transcode
short    updates, copies, deletions, sweeps  never wait for imports, which may wait for them to unlock an image set
long     packs, the index, verifying         takes long and never ends; nobody who waits for an update waits for it
"""

from __future__ import annotations

import signal
import threading
import types
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from hounsfield.audit.trail import Trail
from hounsfield.bootstrap.audit import open_trail
from hounsfield.bootstrap.audit_tasks import (
    AuditedWorkHandler,
    AuditMaintenance,
    describe_ended_imports,
    describe_released_storage,
    record_verifications,
)
from hounsfield.bootstrap.cluster import FALL_BACK_SECONDS, VERIFY_PRIORITY, open_cluster, pool_of
from hounsfield.bootstrap.compaction import open_rewriting_process, read_times
from hounsfield.bootstrap.folder_claim import RUNNER, claim_folder
from hounsfield.bootstrap.image_store import make_journal_flusher, open_image_store
from hounsfield.bootstrap.installation import open_repository
from hounsfield.bootstrap.pack_presence import check_packs_present
from hounsfield.bootstrap.roles import import_access, job_roles
from hounsfield.bootstrap.start_faults import explain_start_faults
from hounsfield.bootstrap.start_reports import is_received, report_ready
from hounsfield.gateway.image_set_access import access_of_kept
from hounsfield.iam.identities.directory import Directory
from hounsfield.imaging.datastores import SETTLE_DATASTORE, DatastoreSettler
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.copy import COPY_IMAGE_SET, ImageSetCopier
from hounsfield.imaging.imagesets.delete import DELETE_IMAGE_SET, ImageSetDeleter
from hounsfield.imaging.imagesets.release_storage import RELEASE_IMAGE_SET, StorageReleaser
from hounsfield.imaging.imagesets.update import UPDATE_IMAGE_SET, ImageSetUpdater
from hounsfield.imaging.imports.jobs import IMPORT
from hounsfield.imaging.imports.retention import FORGET_IMPORT_JOBS, ImportJobForgetter, schedule_forgetting
from hounsfield.imaging.imports.runner import ImportRunner
from hounsfield.imaging.ingest.worker import warm_up
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.imaging.rebuild.checkpoints import WRITE_CHECKPOINT, CheckpointWriter, schedule_checkpoints
from hounsfield.imaging.search.reindex import FILL_INDEX, Reindexer, schedule_indexing
from hounsfield.imaging.tiering.compaction import COMPACT, CompactionHandler, schedule_compaction
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.imaging.tiering.orphan_packs import SWEEP_ORPHANS, OrphanSweeper, schedule_sweep
from hounsfield.imaging.tiering.pack_key_sweep import KEEP_PACK_KEYS, PackKeySweeper, schedule_pack_keys
from hounsfield.imaging.tiering.rewriting_process import RewritingProcess
from hounsfield.imaging.tiering.tiers import SWEEP_TIERS, TierSweeper, schedule_tiers
from hounsfield.jobs.runner import Runner, WakeupSignal, WorkHandler
from hounsfield.runtime.logs import configure_logs
from hounsfield.runtime.service_manager import READY, STOPPING, notify_service_manager
from hounsfield.runtime.standard_error import retry_standard_error
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.runtime.worker_pool import end_with_parent, start_fork_server
from hounsfield.settings import Settings
from hounsfield.storage.db.write_ahead_log import LogCheckpointer
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.secret_copies import JOURNAL

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.cluster import Cluster

_MAINTENANCE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5
"""How often the first thread looks for signals that another one was told of."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What the handlers of work items are made of."""

    settings: Settings
    image_store: ImageStore
    keyring: LocalKeyring
    directory: Directory
    trail: Trail
    workers: IngestWorkers
    cluster: Cluster | None
    stop: threading.Event

    def imports(self) -> dict[str, WorkHandler]:
        access_of = import_access(job_roles(self.settings, self.directory, self.image_store), self.image_store)
        image_store = self.image_store
        runner = ImportRunner(
            image_store, self.workers, self.stop, access_of, lambda job: access_of_kept(image_store, job.starter_rights)
        )
        return {IMPORT: AuditedWorkHandler(runner, self.trail, describe_ended_imports(self.image_store))}

    def short(self) -> dict[str, WorkHandler]:
        image_store = self.image_store
        releaser = StorageReleaser(image_store, self.settings.release_after_seconds)
        return {
            SETTLE_DATASTORE: DatastoreSettler(image_store),
            UPDATE_IMAGE_SET: ImageSetUpdater(image_store),
            COPY_IMAGE_SET: ImageSetCopier(image_store),
            DELETE_IMAGE_SET: ImageSetDeleter(image_store),
            RELEASE_IMAGE_SET: AuditedWorkHandler(releaser, self.trail, describe_released_storage(image_store)),
            SWEEP_ORPHANS: OrphanSweeper(image_store, delete=self.settings.delete_orphans),
            FORGET_IMPORT_JOBS: ImportJobForgetter(image_store),
            KEEP_PACK_KEYS: PackKeySweeper(image_store),
        }

    def long(self) -> dict[str, WorkHandler]:
        return {
            **self._verification(),
            COMPACT: CompactionHandler(self.image_store, read_times(self.settings), self._rewriting_process, self.stop),
            **self._checkpoints(),
            FILL_INDEX: Reindexer(self.image_store, self.stop),
            SWEEP_TIERS: TierSweeper(
                self.image_store,
                archive_after_seconds=self.settings.archive_after_seconds,
                every_seconds=self.settings.tier_sweep_seconds,
                stop=self.stop,
            ),
        }

    def _rewriting_process(self) -> RewritingProcess:
        return open_rewriting_process(self.settings, self.image_store, self.stop)

    def _checkpoints(self) -> dict[str, WorkHandler]:
        secret = installation_secret(self.image_store.database, self.keyring, JOURNAL)
        return {WRITE_CHECKPOINT: CheckpointWriter(self.image_store, secret)}

    def _verification(self) -> dict[str, WorkHandler]:
        if self.settings.verify_days <= 0:
            return {}
        # What decodes frames takes memory, and is not needed where nothing is verified.
        from hounsfield.bootstrap.audit_verification import verify_audit_trail
        from hounsfield.imaging.verify.background import VERIFY, BackgroundVerifier, schedule_verification

        schedule_verification(self.image_store)
        handler = BackgroundVerifier(
            self.image_store,
            days=self.settings.verify_days,
            stop=self.stop,
            check_audit=partial(verify_audit_trail, self.settings, self.image_store.database, self.keyring),
            ended=record_verifications(self.trail),
            cluster=pool_of(self.cluster, VERIFY_PRIORITY, FALL_BACK_SECONDS),
        )
        return {VERIFY: handler}


def run_runner(settings: Settings) -> None:
    """Run a runner until SIGTERM or SIGINT."""
    configure_logs(settings.log_level)
    # The workers' imports go on beside what this process does next; nothing may be forked once there are threads.
    if not settings.executor:
        start_fork_server(warm_up.__module__)
    retry_standard_error()
    end_with_parent()
    if not is_received():
        # Where another process keeps this one, it has claimed the folder.
        claim_folder(settings, (RUNNER,)).keep_touching()
    with explain_start_faults(settings):
        image_store, keyring = open_image_store(settings)
        check_packs_present(settings, image_store)
        directory = Directory(open_repository(settings, image_store.database, keyring))
    # Before the chain of the audit trail begins, which only an orderly end ends.
    stop = threading.Event()
    _end_on_signals(stop)
    trail = open_trail(settings, image_store, keyring, "runner")
    cluster = open_cluster(settings)
    workers = IngestWorkers(settings.import_processes, pool_of(cluster), waits=True)
    workers.start()
    work = _Work(settings, image_store, keyring, directory, trail, workers, cluster, stop)
    for schedule in (
        schedule_sweep,
        schedule_forgetting,
        schedule_tiers,
        schedule_indexing,
        schedule_pack_keys,
        schedule_compaction,
        schedule_checkpoints,
    ):
        schedule(image_store)
    # A bucket that does not answer must not keep the process from ending; what is not delivered then is later.
    maintenance = AuditMaintenance.of(settings, image_store, keyring)
    maintaining = SupervisedThread("audit-keeper", partial(maintenance.run, work.stop), work.stop)
    log_checkpointer = LogCheckpointer(image_store.database)
    log_checkpointer.start()
    image_store.free_space.start()
    journal_flusher = make_journal_flusher(image_store)
    journal_flusher.start()
    directory.start()
    maintaining.start()
    trail.start()
    report_ready("runner")
    notify_service_manager(READY)
    try:
        _carry_out(work)
    finally:
        notify_service_manager(STOPPING)
        work.workers.close()
        directory.stop()
        trail.stop()
        maintaining.join(_MAINTENANCE_SECONDS)
        journal_flusher.stop()
        log_checkpointer.stop()
        image_store.free_space.stop()


def _end_on_signals(stop: threading.Event) -> None:
    def ask_to_stop(_signal: int, _frame: types.FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)


def _carry_out(work: _Work) -> None:
    """Take work items until it is time to stop, each kind in threads of its own."""
    queue, stop, signal = work.image_store.queue, work.stop, WakeupSignal()
    failed = partial(note_damage, work.image_store)
    imports = Runner(queue, work.imports(), stop, slots=work.settings.import_slots, signal=signal, failed=failed)
    short = Runner(queue, work.short(), stop, signal=signal, failed=failed)
    long = Runner(queue, work.long(), stop, slots=4, failed=failed)
    threads = [
        SupervisedThread("listener", partial(queue.listen, signal.notify, stop), stop, daemon=False),
        SupervisedThread("imports", imports.run, stop, daemon=False),
        SupervisedThread("short-work", short.run, stop, daemon=False),
        SupervisedThread("long-work", long.run, stop, daemon=False),
    ]
    for thread in threads:
        thread.start()
    try:
        # The kernel may tell another thread of a signal, which wakes that one, but only this one acts on it: so it looks.
        while not stop.wait(_LOOK_SECONDS):
            pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
