"""Notifications to the service manager: ready, stopping (systemd's protocol, sd_notify(3)).

NOTIFY_SOCKET ─▶ a datagram of one line; without the variable nothing happens
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
_VARIABLE: Final = "NOTIFY_SOCKET"


def stop_notifying() -> None:
    """Leave it to the parent to tell the service manager how things stand."""
    os.environ.pop(_VARIABLE, None)


def notify_service_manager(state: str) -> None:
    """Notify the service manager, where there is one, in which state this process is; whether it listens is its affair."""
    address = os.environ.get(_VARIABLE, "")
    if address[:1] not in {"/", "@"}:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        # The names of abstract sockets begin with a zero byte.
        sender.sendto(state.encode(), address if address[0] == "/" else "\0" + address[1:])
