"""The few system calls that Python does not wrap. Level 2. Linux only; elsewhere every call raises OSError."""

import ctypes
import errno
import os
import platform
import sys
from typing import Any

IS_LINUX = sys.platform == "linux"
MACHINE = platform.machine() if IS_LINUX else ""
_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: Any) -> int:
    """Make a system call. Raises OSError."""
    if not IS_LINUX:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result = int(_libc.syscall(ctypes.c_long(number), *(_wide(argument) for argument in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2). Raises OSError."""
    if not IS_LINUX:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *padded))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _wide(argument: Any) -> Any:
    # A plain int would be passed as 32 bits, and the kernel reads 64.
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
