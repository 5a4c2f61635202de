"""The filter as a program: judged by an interpreter of its own here, and by the kernel in tests/confine/test_cell.py."""

import errno
import struct

import pytest

from switchgear.confine import seccomp
from switchgear.confine.seccomp import ALLOW, ERRNO, KILL

PID = 4711


def judge(code, audit, number, *arguments):
    """Run a classic BPF program as the kernel would, over one call."""
    data = struct.pack("=iIQ6Q", number, audit, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    ops = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at = accumulator = 0
    while True:
        op, if_true, if_false, k = ops[at]
        at += 1
        if op == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif op == 0x06:
            return k
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[op]
            at += if_true if holds else if_false


@pytest.fixture(params=sorted(seccomp.ARCHITECTURES))
def machine(request):
    return request.param


def judged(machine, name_or_numbers, *arguments, **more):
    audit, column, _ = seccomp.ARCHITECTURES[machine]
    more = {"families": seccomp.UNIX_ONLY, "is_child": True, "may_bind": False, **more}
    code = seccomp.program(machine, PID, more.pop("families"), **more)
    number = name_or_numbers[column]
    return judge(code, audit, number, *arguments) if number is not None else None


def test_P1_each_call_of_the_list_is_refused_and_others_are_not(machine):
    for name, numbers in {**seccomp.NEVER, **seccomp.NEVER_A_CHILD}.items():
        verdict = judged(machine, numbers)
        expected = errno.ENOSYS if name.startswith("io_uring") else errno.EPERM
        assert verdict in {None, ERRNO | expected}, name
    for ordinary in ((0, 63), (1, 64), (9, 222), (232, 22)):  # read, write, mmap, epoll_wait (aarch64: epoll_pwait)
        assert judged(machine, ordinary) == ALLOW


def test_P1_the_supervisor_may_start_and_end_children_and_nothing_else_of_the_list(machine):
    for name in ("execve", "setresuid", "capset"):
        assert judged(machine, seccomp.NEVER_A_CHILD[name], is_child=False) == ALLOW
    for name in ("ptrace", "process_vm_readv", "bpf", "mount", "io_uring_setup"):
        assert judged(machine, seccomp.NEVER[name], is_child=False) & 0xFFFF0000 == ERRNO
    assert judged(machine, seccomp.KILL_, 1, is_child=False) == ALLOW


def test_P1_a_socket_is_allowed_or_refused_by_its_family(machine):
    for family, outward in ((1, True), (2, True), (10, True), (16, True), (17, False), (40, False)):
        assert judged(machine, seccomp.SOCKET, family) == (ALLOW if family == 1 else ERRNO | errno.EACCES)
        verdict = judged(machine, seccomp.SOCKET, family, families=seccomp.OUTWARD)
        assert verdict == (ALLOW if outward else ERRNO | errno.EACCES)


def test_P1_threads_yes_processes_no(machine):
    assert judged(machine, seccomp.CLONE, 0x3D0F00 | seccomp.CLONE_THREAD) == ALLOW
    assert judged(machine, seccomp.CLONE, 17) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.CLONE3) == ERRNO | errno.ENOSYS


def test_P1_signals_and_limits_reach_this_process_only(machine):
    for call in (seccomp.KILL_, seccomp.TGKILL, seccomp.PRLIMIT):
        assert judged(machine, call, PID) == ALLOW
        assert judged(machine, call, 1) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.KILL_, 0) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.KILL_, 0xFFFFFFFF) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.PRLIMIT, 0) == ALLOW


def test_P1_no_connection_is_opened_by_sending(machine):
    for call, place in ((seccomp.SENDTO, 3), (seccomp.SENDMSG, 2), (seccomp.SENDMMSG, 3)):
        arguments = [0] * 6
        assert judged(machine, call, *arguments) == ALLOW
        arguments[place] = seccomp.MSG_FASTOPEN | 0x4000
        assert judged(machine, call, *arguments) == ERRNO | errno.EPERM


def test_P1_only_who_serves_binds(machine):
    assert judged(machine, seccomp.BIND) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.BIND, may_bind=True) == ALLOW


def test_P1_terminals_get_no_keystrokes(machine):
    assert judged(machine, seccomp.IOCTL, 0, seccomp.TIOCSTI) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.IOCTL, 0, seccomp.TIOCLINUX) == ERRNO | errno.EPERM
    assert judged(machine, seccomp.IOCTL, 0, 0x5401) == ALLOW


def test_P1_other_architectures_end_the_process_and_newer_calls_do_not_exist(machine):
    audit, _, _ = seccomp.ARCHITECTURES[machine]
    code = seccomp.program(machine, PID, seccomp.UNIX_ONLY, is_child=True, may_bind=False)
    assert judge(code, audit ^ 1, 0) == KILL
    assert judge(code, audit, seccomp.X32 | 59) == KILL
    assert judge(code, audit, seccomp.NEWEST + 1) == ERRNO | errno.ENOSYS
    assert judge(code, audit, -1 & 0x7FFFFFFF) == KILL


def test_N2_bytes_are_added_to_a_file_and_never_taken_out_of_it(machine):
    assert judged(machine, seccomp.FALLOCATE, 3, 0) == ALLOW
    # FALLOC_FL_KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE, UNSHARE_RANGE of linux/falloc.h
    for mode in (0x01, 0x02 | 0x01, 0x08, 0x10, 0x20, 0x40):
        assert judged(machine, seccomp.FALLOCATE, 3, mode) == ERRNO | errno.EPERM
