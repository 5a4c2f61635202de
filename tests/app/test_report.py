"""Telling what is wrong must not make it worse."""

import json
import os
import socket
import subprocess
import sys

import pytest

FLOOD = """
import sys
from switchgear.app.report import report
from switchgear.core.log_line import Settings
report.configure("edge-0", Settings(style="json"))
for n in range(5000):
    report.access(str(n), {"path": "/v1/models", "filler": "x" * 200})
print(report.lost, flush=True)
sys.stdin.read(1)
report("after")
"""


def run(code, **options):
    return subprocess.run([sys.executable, "-c", code], check=True, timeout=120, **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_L3_a_log_on_a_full_disk_stops_nobody():
    code = "from switchgear.app.report import report; report('x'); print('on', report.lost)"
    with open("/dev/full", "w") as full:
        done = run(code, stdout=subprocess.PIPE, stderr=full)
    assert done.stdout == b"on 1\n"


def test_a_closed_pipe_stops_nobody():
    reads, writes = os.pipe()
    os.close(reads)
    done = run(
        "from switchgear.app.report import report; report('x'); print('on', report.lost)",
        stdout=subprocess.PIPE,
        stderr=writes,
    )
    os.close(writes)
    assert done.stdout == b"on 1\n"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_stands_still_holds_nobody_up_and_learns_what_it_missed(kind):
    if kind == "pipe":
        reads, writes = os.pipe()
    else:
        ours, theirs = socket.socketpair()
        reads, writes = ours.detach(), theirs.detach()
    child = subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writes
    )
    os.close(writes)
    lost = int(child.stdout.readline())  # it came to its end although nobody reads
    assert 0 < lost < 5000
    assert os.get_blocking(reads) is True  # and a shared descriptor's flags were left alone
    os.set_blocking(reads, False)
    got = b""
    try:
        while piece := os.read(reads, 1 << 20):
            got += piece
    except BlockingIOError:
        pass
    os.set_blocking(reads, True)
    child.stdin.write(b"x")
    child.stdin.close()
    while piece := os.read(reads, 1 << 20):
        got += piece
    os.close(reads)
    child.stdout.close()
    assert child.wait(60) == 0
    lines = [json.loads(text) for text in got.splitlines()]
    assert len([one for one in lines if one["message"] == "request"]) == 5000 - lost
    assert lines[-2]["lost"] == lost and lines[-1]["message"] == "after"


def test_a_line_is_a_line():
    done = run("from switchgear.app.report import report; report('the disk is full')", capture_output=True)
    stamp, level, process, *words = done.stderr.decode().split()
    assert stamp.endswith("Z") and (level, process) == ("WARNING", "switchgear")
    assert " ".join(words) == "the disk is full"


def test_levels_below_the_one_that_was_asked_for_are_not_written():
    code = (
        "from switchgear.app.report import report; from switchgear.core.log_line import Settings\n"
        "report.configure('control', Settings(level='warning')); report('a', 'info'); report('b', 'error')"
    )
    assert b"control    b" in run(code, capture_output=True).stderr
    assert b" a" not in run(code, capture_output=True).stderr


def test_an_exception_that_ends_a_process_is_a_log_line_with_its_trace():
    code = (
        "from switchgear.app import report; from switchgear.core.log_line import Settings\n"
        "report.begin('vault', Settings(style='json')); 1/0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    found = json.loads(done.stderr)
    assert done.returncode == 1
    assert (found["level"], found["process"]) == ("error", "vault")
    assert "ZeroDivisionError" in found["message"] and "1/0" not in found["message"] and "line 2" in found["trace"]
