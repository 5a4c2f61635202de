"""What a child is told at its start."""

import os

import msgspec
import pytest

from switchgear.app import boot
from switchgear.app.boot import Boot, Told
from switchgear.config.schema import Limits


def test_orders_come_back_as_they_were_and_leave_no_descriptor():
    orders = Boot(
        role="edge",
        number=1,
        data="/d",
        run_id="r",
        lifeline_fd=3,
        ready_fd=4,
        listen_fds=[5, 6],
        limits=Limits(headers_max=9),
    )
    fd = boot.to_fd(orders)
    assert boot.from_fd(fd, Boot) == orders
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_P4_orders_have_no_name_on_disk():
    fd = boot.to_fd(Told())
    try:
        assert os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:")
        assert os.fstat(fd).st_nlink == 0
    finally:
        os.close(fd)


def test_an_edge_reads_its_orders_without_the_types_of_controls():
    orders = Boot(
        role="control",
        data="/d",
        run_id="r",
        lifeline_fd=3,
        ready_fd=4,
        configuration=msgspec.Raw(b'{"any":["thing"]}'),
    )
    assert bytes(boot.from_fd(boot.to_fd(orders), Boot).configuration) == b'{"any":["thing"]}'


def test_orders_of_another_shape_are_refused():
    with pytest.raises(msgspec.ValidationError):
        boot.from_fd(boot.to_fd({"role": "edge"}), Boot)
