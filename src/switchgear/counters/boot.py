"""The boot's clock and name: counters are of one boot. Level 2.

CLOCK_BOOTTIME goes on while the machine sleeps and never jumps (clock_gettime(2), man-pages 6.9); where there is none (macOS, for
development), the monotonic clock stands in.
"""

import time
from hashlib import blake2b
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_us() -> int:
    """Return microseconds since the boot."""
    return time.clock_gettime_ns(_CLOCK) // 1_000


def boot_id(path: Path = BOOT_ID) -> bytes:
    """Return 16 bytes that name this boot (proc_sys_kernel(5): "a random ID generated on each boot"). Where there is no such
    file they are always the same, and counters outlive a boot as far as their times make sense."""
    try:
        text = path.read_bytes()
    except OSError:
        text = b""
    return blake2b(text, digest_size=16).digest()
