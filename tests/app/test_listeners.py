"""Addresses and bound sockets."""

import socket
import threading
import time

import pytest

from switchgear.app.listeners import bind, read_address, shown
from switchgear.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:4100", ("127.0.0.1", 4100)), ("[::1]:80", ("::1", 80)), ("localhost:1", ("127.0.0.1", 1))],
)
def test_an_address_is_read(text, address):
    assert read_address(text, "--listen") == address


def test_a_malformed_address_is_refused_with_an_example():
    with pytest.raises(UserError, match="not HOST:PORT") as caught:
        read_address("4100", "--console")
    assert "--console 127.0.0.1:4100" in caught.value.hint


def test_an_address_of_version_6_stands_in_brackets():
    assert shown(("::1", 80)) == "[::1]:80"
    assert shown(("127.0.0.1", 80)) == "127.0.0.1:80"


def test_a_socket_listens_where_it_is_bound():
    with bind(("127.0.0.1", 0), "the data plane", "--listen") as listener:
        with socket.create_connection(listener.getsockname(), timeout=5):
            connection, _ = listener.accept()
            connection.close()


def test_a_port_that_another_holds_is_refused_with_another_to_choose():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match="the console cannot listen") as caught:
            bind(("127.0.0.1", port), "the console", "--console")
        assert f"--console 127.0.0.1:{port + 10}" in caught.value.hint
        assert f"SWITCHGEAR_CONSOLE=127.0.0.1:{port + 10}" in caught.value.hint


def test_a_port_that_becomes_free_is_waited_for():
    other = socket.create_server(("127.0.0.1", 0))
    address = other.getsockname()
    timer = threading.Timer(0.1, other.close)
    timer.start()
    started = time.monotonic()
    bind(address, "the data plane", "--listen", patience_s=30.0).close()
    timer.join()
    assert time.monotonic() - started >= 0.05
