"""Privileges, given up in a process of its own and looked at from inside."""

import json
import os
import subprocess
import sys

import pytest

from switchgear.confine import kernel
from switchgear.testing.patience import PATIENCE_S

CODE = """
import json, resource
from switchgear.confine import privileges
keep = frozenset(__KEEP__)
privileges.no_core()
privileges.bound_capabilities(keep)
privileges.drop_capabilities(keep)
privileges.no_new_privileges()
mask = privileges._capabilities()[0]
print(json.dumps([
    privileges.is_dumpable(), privileges.may_gain_privileges(), sorted(n for n in range(64) if mask >> n & 1),
    resource.getrlimit(resource.RLIMIT_CORE)[0],
]))
"""


def told(keep):
    code = CODE.replace("__KEEP__", repr(sorted(keep)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return json.loads(done.stdout)


@pytest.mark.skipif(not kernel.IS_LINUX, reason="Linux only")
def test_P1_a_process_keeps_the_named_capabilities_only():
    assert told(()) == [False, False, [], 0]
    assert told((0, 7)) == [False, False, [0, 7] if os.geteuid() == 0 else [], 0]
