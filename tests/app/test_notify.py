"""What a service manager hears."""

import os
import socket

import pytest

from switchgear.app.notify import notify


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_service_manager_hears_each_notice_on_its_socket(tmp_path, kind):
    place = f"@switchgear-{os.getpid()}" if kind == "abstract" else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + place[1:] if kind == "abstract" else place)
        notify(place, "READY=1")
        assert manager.recv(100) == b"READY=1"


def test_a_notice_without_a_listener_is_dropped_at_once(tmp_path):
    notify("", "READY=1")
    notify(str(tmp_path / "gone"), "READY=1")
