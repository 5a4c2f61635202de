"""What the benchmark reads of processes is what the kernel says of them."""

import os
import resource
import subprocess
import sys
import time

from switchgear.bench import processes

SLEEPER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"


def test_a_tree_holds_a_process_and_its_descendants():
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE) as parent:
        until = time.monotonic() + 30
        while len(processes.tree(parent.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        tree = processes.tree(parent.pid)
        assert tree[0] == parent.pid and len(tree) == 2
        assert os.getpid() not in tree
        parent.communicate(b"\n")


def test_cpu_time_grows_by_what_is_used_and_of_all_threads():
    before, used = processes.cpu_ns([os.getpid()]), resource.getrusage(resource.RUSAGE_SELF)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        sum(range(1_000))
    after, now = processes.cpu_ns([os.getpid()]), resource.getrusage(resource.RUSAGE_SELF)
    ns = (now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime) * 1e9
    assert 0.04e9 < after - before < ns + 0.05e9


def test_memory_of_two_processes_is_the_sum():
    one = processes.pss_kib([os.getpid()])
    assert 5_000 < one < 4_000_000
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert processes.pss_kib([os.getpid(), other.pid]) > processes.pss_kib([other.pid])
        other.communicate(b"\n")


def test_a_process_that_is_gone_uses_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert processes.tree(gone.pid) == [gone.pid]
    assert processes.cpu_ns([gone.pid]) == 0
