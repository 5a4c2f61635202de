"""The environment of children: few variables, and the allocator's settings. Level 6."""

import os

ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "XDG_CONFIG_HOME", "TMPDIR")
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""For glibc: large bodies get pages of their own and give them back. Without these the threshold rises with the largest body
ever freed, and processes keep what their busiest moment took (measured: 100 MiB an edge after eight 10 MB bodies)."""


def clean_environment(environ: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """Return the few variables that children get: never LD_*, PYTHON*, SSL_* or a proxy's."""
    return {name: environ[name] for name in ENVIRONMENT if name in environ} | MALLOC
