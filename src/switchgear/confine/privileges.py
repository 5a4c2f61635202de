"""Who a process is and what it may: user ids, capabilities, core dumps, being traced. Level 2 (docs/invariants.md P1, P2)."""

import contextlib
import ctypes
import os
import resource
import struct

from switchgear.confine import kernel

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_GET_SECCOMP = 21
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPGET = {"x86_64": 125, "aarch64": 90}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAP_VERSION_3 = 0x20080522
CAP_SYS_CHROOT = 18
SUPERVISORS = frozenset({*range(9), CAP_SYS_CHROOT})
"""What a supervisor that is root keeps, to give folders away and to let its children become others: chown, dac_override,
dac_read_search, fowner, fsetid, kill, setgid, setuid, setpcap, sys_chroot."""


def no_core() -> None:
    """No core dumps, not traceable by the same user, as many descriptors as allowed. Works everywhere."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if kernel.IS_LINUX:
        kernel.prctl(PR_SET_DUMPABLE, 0)


def bound_capabilities(keep: frozenset[int] = frozenset()) -> None:
    """See that nothing that is executed gains other capabilities than these. Root's; for others there is nothing to bound."""
    if not kernel.IS_LINUX:
        return
    with contextlib.suppress(OSError):
        kernel.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        try:
            if kernel.prctl(PR_CAPBSET_READ, number) == 1 and number not in keep:
                kernel.prctl(PR_CAPBSET_DROP, number)
        except OSError:
            break  # past the last capability, or not root


def drop_capabilities(keep: frozenset[int] = frozenset()) -> None:
    """Give up all capabilities but these. Those not held are left alone."""
    if not kernel.IS_LINUX:
        return
    mask = sum(1 << number for number in keep) & _capabilities()[1]
    _set_capabilities(mask)


def become(uid: int, gid: int, groups: tuple[int, ...]) -> None:
    """Become another user for good. Raises OSError when it is not allowed, RuntimeError if there is a way back."""
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if uid != 0 and _can_be_root():
        raise RuntimeError("the privileges were dropped, and yet there is a way back")
    no_core()  # a change of user resets it


def no_new_privileges() -> None:
    """Nothing that is executed from here on can give more rights."""
    if kernel.IS_LINUX:
        kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)


def _can_be_root() -> bool:
    try:
        os.setresuid(0, 0, 0)
    except OSError:
        return False
    return True


def _capabilities() -> tuple[int, int]:
    """Return (effective, permitted) as masks."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAP_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    kernel.syscall(_CAPGET[kernel.MACHINE], header, data)
    low = struct.unpack("=6I", data.raw)
    return low[0] | low[3] << 32, low[1] | low[4] << 32


def _set_capabilities(mask: int) -> None:
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAP_VERSION_3, 0), 8)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0), 24)
    kernel.syscall(_CAPSET[kernel.MACHINE], header, data)


def has_capabilities() -> bool:
    """Tell whether any capability is left to use."""
    return kernel.IS_LINUX and _capabilities() != (0, 0)


def is_dumpable() -> bool:
    """Tell whether the same user may trace this process and read its memory."""
    return not kernel.IS_LINUX or kernel.prctl(PR_GET_DUMPABLE) != 0


def may_gain_privileges() -> bool:
    """Tell whether a set-uid program would still work."""
    return not kernel.IS_LINUX or kernel.prctl(PR_GET_NO_NEW_PRIVS) != 1


def is_filtered() -> bool:
    """Tell whether a seccomp filter is in force."""
    return kernel.IS_LINUX and kernel.prctl(PR_GET_SECCOMP) == 2
