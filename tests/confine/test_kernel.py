"""System calls without a wrapper: arguments go out whole, errors come back as OSError."""

import errno
import os

import pytest

from switchgear.confine import kernel


@pytest.mark.skipif(not kernel.IS_LINUX, reason="Linux only")
def test_calls_return_values_and_raise_errors():
    number = {"x86_64": 39, "aarch64": 172}[kernel.MACHINE]
    assert kernel.syscall(number) == os.getpid()
    with pytest.raises(OSError) as caught:
        kernel.syscall(100_000)
    assert caught.value.errno == errno.ENOSYS
    with pytest.raises(OSError):
        kernel.prctl(999_999)


def test_elsewhere_there_is_nothing_to_call(monkeypatch):
    monkeypatch.setattr(kernel, "IS_LINUX", False)
    for call in (lambda: kernel.syscall(1), lambda: kernel.prctl(1)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.ENOSYS
