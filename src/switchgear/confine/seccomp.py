"""seccomp: system calls that this process will never need again are refused by the kernel. Level 2 (docs/invariants.md P1).

A list of what is refused, not of what is allowed: the interpreter, OpenSSL and SQLite use some 90 calls that differ between
versions of the C library, and a forgotten one would end a gateway in the middle of the night. Calls newer than this file do
not exist for the process (ENOSYS), so the list cannot fall behind.
https://man7.org/linux/man-pages/man2/seccomp.2.html (read 2026-11-24)
"""

import ctypes
import errno
import socket
import struct

from switchgear.confine import kernel

SET_MODE_FILTER, TSYNC = 1, 1
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NEWEST = 462
"""The highest number that this file knows (mseal, Linux 6.10)."""
X32 = 0x40000000
CLONE_THREAD = 0x10000
MSG_FASTOPEN = 0x20000000
"""Connects while sending: Landlock's hook on connect does not see it."""
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
AF_NETLINK = 16

# Number per architecture: (x86_64, aarch64); None where the call does not exist.
# asm/unistd_64.h and asm-generic/unistd.h of Linux 6.10.
ARCHITECTURES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}
"""Audit architecture, column of the tables, number of seccomp itself."""
Numbers = dict[str, tuple[int | None, int | None]]

NEVER: Numbers = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "rt_tgsigqueueinfo": (297, 240),
    # ways around the checks on other calls
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "userfaultfd": (323, 282), "personality": (135, 92),
    "modify_ldt": (154, None), "iopl": (172, None), "ioperm": (173, None),
    # the kernel and the machine
    "bpf": (321, 280), "perf_event_open": (298, 241), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443), "swapon": (167, 224),
    "swapoff": (168, 225), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # what the file system looks like
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "setns": (308, 268), "unshare": (272, 97),
    # the clock
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
}  # fmt: skip
"""Refused to every process, the supervisor included."""

NEVER_A_CHILD: Numbers = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "chroot": (161, 51), "mknod": (133, None), "mknodat": (259, 33), "pidfd_send_signal": (424, 424),
    "sethostname": (170, 161), "setdomainname": (171, 162),
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147),
    "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91),
}  # fmt: skip
"""Refused to all but the supervisor."""
# Judged by an argument.
SOCKET, CLONE, CLONE3, IOCTL = (41, 198), (56, 220), (435, 435), (16, 29)
KILL_, TGKILL, PRLIMIT, SCHED_SETAFFINITY = (62, 129), (234, 131), (302, 261), (203, 122)
FALLOCATE = (285, 47)
"""Modes take bytes out of a file, also where Landlock refuses to cut it, and whoever has it mapped gets SIGBUS."""
SENDTO, SENDMSG, SENDMMSG, BIND = (44, 206), (46, 211), (307, 269), (49, 200)

_LD_W_ABS, _JEQ_K, _JGE_K, _JSET_K, _RET_K = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _refuse(code: int) -> bytes:
    return _op(_RET_K, ERRNO | code)


def _argument(number: int) -> bytes:
    return _op(_LD_W_ABS, _ARGS + 8 * number)  # the low half: little-endian machines only, as both tables are


def _only(number: int, argument: int, allowed: list[int], code: int) -> list[bytes]:
    """Allow a call for some values of one argument."""
    tests = [_op(_JEQ_K, value, len(allowed) - at, 0) for at, value in enumerate(allowed)]
    body = [_argument(argument), *tests, _refuse(code), _op(_RET_K, ALLOW)]
    return [_op(_JEQ_K, number, 0, len(body)), *body]


def _never_with(number: int, argument: int, flag: int, code: int) -> list[bytes]:
    """Refuse a call that has a flag."""
    body = [_argument(argument), _op(_JSET_K, flag, 0, 1), _refuse(code), _op(_RET_K, ALLOW)]
    return [_op(_JEQ_K, number, 0, len(body)), *body]


def _always(number: int, code: int) -> list[bytes]:
    return [_op(_JEQ_K, number, 0, 1), _refuse(code)]


def program(machine: str, own_pid: int, families: frozenset[int], *, is_child: bool, may_bind: bool) -> bytes:
    """Return the filter. `families`: the kinds of socket that a child may make. Raises KeyError for another machine."""
    audit, column, _ = ARCHITECTURES[machine]
    ops = [_op(_LD_W_ABS, _ARCH), _op(_JEQ_K, audit, 1, 0), _op(_RET_K, KILL), _op(_LD_W_ABS, _NR)]
    ops += [_op(_JGE_K, X32, 0, 1), _op(_RET_K, KILL)]
    ops += [_op(_JGE_K, NEWEST + 1, 0, 1), _refuse(errno.ENOSYS)]
    refused = dict(NEVER, **(NEVER_A_CHILD if is_child else {}))
    for name, numbers in refused.items():
        number = numbers[column]
        if number is not None:
            # ENOSYS makes libuv take its threads instead of io_uring; the others say what they are.
            ops += _always(number, errno.ENOSYS if name.startswith("io_uring") else errno.EPERM)
    if is_child:
        own = [own_pid]
        ops += _always(CLONE3[column], errno.ENOSYS)  # its flags lie in memory; the C library then uses clone
        number = CLONE[column]
        body = [_argument(0), _op(_JSET_K, CLONE_THREAD, 1, 0), _refuse(errno.EPERM), _op(_RET_K, ALLOW)]
        ops += [_op(_JEQ_K, number, 0, len(body)), *body]
        ops += _only(SOCKET[column], 0, sorted(families), errno.EACCES)
        ops += _only(FALLOCATE[column], 1, [0], errno.EPERM)
        ops += _only(KILL_[column], 0, own, errno.EPERM)
        ops += _only(TGKILL[column], 0, own, errno.EPERM)
        ops += _only(PRLIMIT[column], 0, [0, *own], errno.EPERM)
        ops += _only(SCHED_SETAFFINITY[column], 0, [0, *own], errno.EPERM)
        for numbers, argument in ((SENDTO, 3), (SENDMSG, 2), (SENDMMSG, 3)):
            ops += _never_with(numbers[column], argument, MSG_FASTOPEN, errno.EPERM)
        if not may_bind:
            ops += _always(BIND[column], errno.EPERM)
    body = [
        _argument(1),
        _op(_JEQ_K, TIOCSTI, 2, 0),
        _op(_JEQ_K, TIOCLINUX, 1, 0),
        _op(_RET_K, ALLOW),
        _refuse(errno.EPERM),
    ]
    ops += [_op(_JEQ_K, IOCTL[column], 0, len(body)), *body]
    return b"".join([*ops, _op(_RET_K, ALLOW)])


def can_filter() -> bool:
    """Tell whether this machine is one that the tables know."""
    return kernel.IS_LINUX and kernel.MACHINE in ARCHITECTURES


def restrict(own_pid: int, families: frozenset[int], *, is_child: bool = True, may_bind: bool = False) -> None:
    """Install the filter for all threads. Needs no_new_privs. Raises OSError when the kernel refuses."""
    if not can_filter():
        raise OSError(errno.ENOSYS, f"no table of system calls for {kernel.MACHINE or 'this system'}")
    code = program(kernel.MACHINE, own_pid, families, is_child=is_child, may_bind=may_bind)
    buffer = ctypes.create_string_buffer(code, len(code))
    program_struct = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(program_struct, len(program_struct))
    kernel.syscall(ARCHITECTURES[kernel.MACHINE][2], SET_MODE_FILTER, TSYNC, holder)


UNIX_ONLY = frozenset({int(socket.AF_UNIX)})
OUTWARD = frozenset({int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6), AF_NETLINK})
"""With netlink: the C library asks the kernel for its addresses before it resolves names."""
