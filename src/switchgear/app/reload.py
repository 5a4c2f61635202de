"""Taking the changed configuration file into force while the gateway runs. Level 6."""

import os
import subprocess
import sys

from switchgear.app.environment import clean_environment
from switchgear.app.report import report

SAID_MAX = 16_384
"""Bytes of what a reload says that are read."""


class Reload:
    """`config apply` of the file, beside the supervisor. What it says goes into memory first: into the log as one line, and nobody
    waits for it."""

    def __init__(self, config_path: str, data: str) -> None:
        self.again = False
        self._said = os.memfd_create("reload", os.MFD_CLOEXEC)
        command = [sys.executable, "-I", "-m", "switchgear.cli", "config", "apply", config_path, "--data", data]
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module, no shell
            command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said, env=clean_environment(os.environ)
        )

    def is_over(self) -> bool:
        """Tell whether it ended; once it did, its outcome is in the log."""
        code = self._process.poll()
        if code is None:
            return False
        said = os.pread(self._said, SAID_MAX, 0).decode("utf-8", "replace").strip()
        os.close(self._said)
        if code == 0:
            report("the configuration was applied" + (f"\n{said}" if said else ""), "info")
        else:
            report(f"the new configuration is not used, the one in force stays\n{said}", "error", exit_code=code)
        return True
