"""Landlock: a process gives up every path and TCP port that it does not name. Level 2 (docs/invariants.md P1).

https://docs.kernel.org/userspace-api/landlock.html (read 2026-11-24). What it does not stop is `connect` to a Unix socket by
path (P3), and whatever was opened before. It binds the calling thread and those it starts: call it before there are others.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from switchgear.confine import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH, NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SOCK = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 9
REFER, TRUNCATE = 1 << 13, 1 << 14

READ = READ_FILE | READ_DIR
"""May look, and list."""
KEEP = READ | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE
"""May make, change and remove files."""
WRITE = READ_FILE | WRITE_FILE
"""May change what is in a file, and not cut it (Landlock before version 3 does not refuse to cut)."""
SERVE = READ_DIR | MAKE_SOCK | REMOVE_FILE
"""May bind a Unix socket, in place of a dead one."""
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

FS_RIGHTS_BY_ABI = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
"""What each version of Landlock can take away; the last holds for all later ones."""
NET_SINCE_ABI, NET_RIGHTS = 4, 0b11
"""Binding and connecting TCP sockets."""
CONNECT_TCP = 0b10
SCOPE_SINCE_ABI, SCOPES = 6, 0b11
"""Abstract Unix sockets of others, and signals to others."""


def abi() -> int:
    """Return the kernel's Landlock version; 0 where there is none."""
    try:
        return kernel.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    except OSError:
        return 0


def restrict(rules: Iterable[tuple[Path | int, int]], *, may_connect: bool, ports: Iterable[int] = ()) -> int:
    """Give up all paths but these, and TCP but for connecting if `may_connect`: to these ports only, if there are any.

    A rule names a path, or the descriptor of an open folder that this user could not reach by a path. Returns the version that
    was applied, 0 where there is none. Needs no_new_privs. Paths that do not exist are left out.

    Raises OSError when the kernel refuses.
    """
    version = abi()
    if version == 0:
        return 0
    fs = FS_RIGHTS_BY_ABI[min(version, len(FS_RIGHTS_BY_ABI) - 1)]
    open_ports = tuple(ports) if may_connect else ()
    net = NET_RIGHTS & ~CONNECT_TCP if may_connect and not open_ports else NET_RIGHTS
    net = net if version >= NET_SINCE_ABI else 0
    scopes = SCOPES if version >= SCOPE_SINCE_ABI else 0
    size = 24 if version >= SCOPE_SINCE_ABI else 16 if version >= NET_SINCE_ABI else 8
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", fs, net, scopes)[:size], size)
    ruleset = kernel.syscall(CREATE_RULESET, attributes, size, 0)
    try:
        for path, rights in rules:
            _add(ruleset, path, rights & fs)
        for port in open_ports if net else ():
            rule = ctypes.create_string_buffer(struct.pack("=QQ", CONNECT_TCP, port), 16)
            kernel.syscall(ADD_RULE, ruleset, NET_PORT, rule, 0)
        kernel.syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _add(ruleset: int, path: Path | int, rights: int) -> None:
    if isinstance(path, int):
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, path), 12)
        kernel.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
        return
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not path.is_dir():
            rights &= _ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd), 12)
        kernel.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
