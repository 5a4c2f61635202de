"""Telling what is wrong must not make it worse."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_L3_a_log_on_a_full_disk_stops_nobody():
    code = "from switchgear.app.report import report; report('x'); print('on')"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=True)
    assert done.stdout == b"on\n"


def test_a_line_is_a_line():
    code = "from switchgear.app.report import report; report('the disk is full')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"switchgear: the disk is full\n"
