"""Unix sockets in folders of any depth."""

import os
import socket

from switchgear.net import unix


def test_P2_a_long_path_is_no_obstacle(tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = unix.bind(deep, "x.sock")
    client = unix.connect(deep, "x.sock", 1.0)
    server.setblocking(True)
    accepted, _ = server.accept()
    assert unix.peer_uid(accepted) == os.geteuid()
    assert (deep / "x.sock").stat().st_mode & 0o777 == 0o600
    for sock in (client, accepted, server):
        sock.close()


def test_a_dead_socket_is_replaced(tmp_path):
    unix.bind(tmp_path, "x.sock").close()
    again = unix.bind(tmp_path, "x.sock")
    assert isinstance(again, socket.socket)
    again.close()
