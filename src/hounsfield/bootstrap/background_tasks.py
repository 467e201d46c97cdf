"""The background tasks of an API process: threads that work beside the gateway for as long as it answers."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.audit.trail import Trail
from hounsfield.iam.identities.directory import Directory
from hounsfield.imaging.last_access import AccessWriter
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.oidc.authorizer import TokenAuthorizer
from hounsfield.runtime.supervised_threads import failing_threads
from hounsfield.settings.audit_on_failure import AuditFailureMode
from hounsfield.storage.db.write_ahead_log import LogCheckpointer
from hounsfield.storage.free_space import FreeSpace
from hounsfield.storage.journal.journal_writer import JournalFlusher


@dataclass(frozen=True, slots=True)
class BackgroundTasks:
    """What works beside the gateway.

    Attributes
    ----------
    accesses : AccessWriter
        Writes down which image sets were accessed.
    receiver : Receiver
        Transcodes what is stored by DICOMweb.
    directory : Directory
        Follows changes of users and policies.
    token_authorizer : TokenAuthorizer
        Asks who vouches for bearer tokens.
    trail : Trail
        Writes down who called.
    on_failure : AuditFailureMode
        What becomes of calls while they cannot be written down.
    journal_flusher : JournalFlusher
        Makes the journal durable.
    log_checkpointer : LogCheckpointer
        Keeps the write-ahead log of the embedded database short.
    free_space : FreeSpace
        Looks whether the disks take more.
    """

    accesses: AccessWriter
    receiver: Receiver
    directory: Directory
    token_authorizer: TokenAuthorizer
    trail: Trail
    on_failure: AuditFailureMode
    journal_flusher: JournalFlusher
    log_checkpointer: LogCheckpointer
    free_space: FreeSpace

    def why_not_ready(self) -> list[str]:
        """Return what does not work as it should, each in a word; nothing of it waits, and nothing is secret."""
        # Where calls are carried out unrecorded, they are carried out.
        reasons = (
            ["audit-trail"] if not self.trail.is_ready and self.on_failure is not AuditFailureMode.CONTINUE else []
        )
        if not self.directory.is_trusted:
            reasons.append("database")
        return [*reasons, *(f"thread-{name}" for name in failing_threads())]

    def start(self) -> None:
        """Begin with the first request."""
        self.free_space.start()
        self.trail.start()
        self.receiver.start()
        self.accesses.start()
        self.directory.start()
        self.log_checkpointer.start()
        self.journal_flusher.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self.receiver.close()
        self.accesses.stop()
        self.directory.stop()
        self.token_authorizer.close()
        self.trail.stop()
        self.journal_flusher.stop()
        self.log_checkpointer.stop()
        self.free_space.stop()
