"""The ASGI application in front of everything.

    path ─┬─▶ /healthz, /readyz
          ├─▶ Security Token Service
          ├─▶ DICOMweb
          └─▶ native API: all that is no other's

Beside the doors work a few threads, for as long as the doors are open.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp

from hounsfield.api.dicomweb.app import DicomwebDoor
from hounsfield.api.dicomweb.routes import is_dicomweb
from hounsfield.api.healthimaging.app import NativeDoor
from hounsfield.api.sts.app import StsDoor, is_sts
from hounsfield.audit.trail import Trail
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.cors import cross_origin
from hounsfield.gateway.dispatch import Entrance, FrontDoor, Limits, health_door, ready_door
from hounsfield.gateway.header_limits import CheckedHeads
from hounsfield.gateway.idle_connections import ConnectionWatch
from hounsfield.gateway.loopback_only import LoopbackOnly
from hounsfield.gateway.timeouts import Patience
from hounsfield.iam.identities.directory import Directory
from hounsfield.imaging.last_access import AccessWriter
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.oidc.authorizer import TokenAuthorizer
from hounsfield.runtime.supervised_threads import failing_threads
from hounsfield.settings import Settings
from hounsfield.settings.audit_on_failure import AuditFailureMode
from hounsfield.settings.trusted_proxies import behind_proxies
from hounsfield.storage.db.write_ahead_log import LogCheckpointer


@dataclass(frozen=True, slots=True)
class Beside:
    """What works beside the doors for as long as they are open.

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
    log_checkpointer : LogCheckpointer
        Keeps the write-ahead log of the embedded database short.
    """

    accesses: AccessWriter
    receiver: Receiver
    directory: Directory
    token_authorizer: TokenAuthorizer
    trail: Trail
    on_failure: AuditFailureMode
    log_checkpointer: LogCheckpointer

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
        self.trail.start()
        self.receiver.start()
        self.accesses.start()
        self.directory.start()
        self.log_checkpointer.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self.receiver.close()
        self.accesses.stop()
        self.directory.stop()
        self.log_checkpointer.stop()
        self.token_authorizer.close()
        self.trail.stop()


@dataclass(frozen=True, slots=True)
class Between:
    """Who and what stands between a client and the doors.

    Attributes
    ----------
    origins : tuple of str
        Origins whose web pages may call.
    proxies : tuple of str
        Addresses and networks of proxies that are believed when they say for whom they call.
    header_bytes : int
        Largest number of bytes of all headers of a request.
    loopback_only : bool
        Whether the doors let everybody of this machine in, and so nobody else.
    """

    origins: tuple[str, ...]
    proxies: tuple[str, ...]
    header_bytes: int
    loopback_only: bool

    def door(self, app: ASGIApp, recorder: Recorder) -> ASGIApp:
        """Return a door that knows of them; what is refused before it is recorded as its own calls are."""
        checked = CheckedHeads(app, self.header_bytes, recorder)
        shared = cross_origin(checked, self.origins)
        guarded = LoopbackOnly(shared, self.origins, recorder) if self.loopback_only else shared
        return behind_proxies(guarded, self.proxies)


def front_doors(
    native: NativeDoor, dicomweb: DicomwebDoor, sts: StsDoor, between: Between, beside: Beside, limits: Limits
) -> Entrance:
    """Put the doors beside each other; what is no other's is the native API's, which says best what is wrong with it.

    Parameters
    ----------
    native, dicomweb, sts
        The doors.
    between : Between
        Who and what stands between a client and the doors.
    beside : Beside
        What works beside the doors.
    limits : Limits
        Bounds of what is done for a client before it is known who it is.
    """
    return Entrance(
        (
            health_door("/healthz", between.header_bytes),
            ready_door("/readyz", between.header_bytes, beside.why_not_ready),
            FrontDoor("sts", is_sts, between.door(sts, sts.recorder), sts.routes),
            FrontDoor("dicomweb", is_dicomweb, between.door(dicomweb, dicomweb.recorder), dicomweb.routes),
            FrontDoor("native", lambda _method, _path: True, between.door(native, native.recorder), native.routes),
        ),
        limits,
        beside.start,
        beside.stop,
    )


def limits_of(settings: Settings) -> Limits:
    """Return the bounds of what is done for a client before it is known who it is."""
    patience = Patience(settings.body_timeout_seconds, settings.answer_timeout_seconds, settings.least_bytes_per_second)
    return Limits(patience, ConnectionWatch(settings.header_timeout_seconds, patience))
