"""The service manager is told when the server is ready, and that it stops (sd_notify(3))."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from hounsfield.runtime.service_manager import READY, STOPPING, notify_service_manager
from support.servers import ServerProcess


def _socket(address: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(address)
    receiver.settimeout(60)
    return receiver


def test_a_server_tells_once_that_it_is_ready(tmp_path: Path) -> None:
    with _socket(str(tmp_path / "notify")) as receiver:
        server = ServerProcess(tmp_path / "data", {"NOTIFY_SOCKET": str(tmp_path / "notify")}).start()
        try:
            assert receiver.recv(100).decode() == READY
            with urlopen(f"{server.url}/readyz", timeout=10) as answer:
                assert answer.status == 200
        finally:
            server.stop()
        assert receiver.recv(100).decode() == STOPPING
        receiver.settimeout(0)
        with pytest.raises(BlockingIOError):
            receiver.recv(100)


def test_an_abstract_socket_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _socket(f"\0{tmp_path}") as receiver:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{tmp_path}")
        notify_service_manager(READY)
        assert receiver.recv(100).decode() == READY


@pytest.mark.parametrize("address", ["", "relative", "/none/at/all", "vsock:2:1"])
def test_a_service_manager_that_cannot_be_told_keeps_nobody(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify_service_manager(READY)
