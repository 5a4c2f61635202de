"""What a service manager hears."""

import os
import socket

import pytest

from switchgear.app.notify import notify


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_manager_hears_it(tmp_path, kind):
    place = f"@switchgear-{os.getpid()}" if kind == "abstract" else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + place[1:] if kind == "abstract" else place)
        notify(place, "READY=1")
        assert manager.recv(100) == b"READY=1"


def test_nobody_who_listens_holds_nobody_up(tmp_path):
    notify("", "READY=1")
    notify(str(tmp_path / "gone"), "READY=1")
