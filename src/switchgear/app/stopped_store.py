"""What the store of a gateway that does not run has, asked of a process of its own (app/store_names). Level 6."""

import os
import subprocess
import sys

import msgspec

from switchgear.app.environment import clean_environment
from switchgear.app.layout import Layout
from switchgear.config.names import Known
from switchgear.core.errors import UNREADABLE

NAMES_S = 30.0
NAMES_BYTES_MAX = 16 * 1024 * 1024


def store_names(layout: Layout) -> Known | None:
    """Return what the store of a stopped gateway has, read by a process that becomes the store's owner; None without a store."""
    if not layout.had_store:
        return None
    done = subprocess.run(  # noqa: S603  our own interpreter and module, no shell
        [sys.executable, "-I", "-m", "switchgear.app.store_names", str(layout.store)],
        check=False,
        capture_output=True,
        env=clean_environment(os.environ),
        timeout=NAMES_S,
    )
    try:
        return msgspec.json.decode(done.stdout[:NAMES_BYTES_MAX], type=Known)
    except UNREADABLE:
        return None
