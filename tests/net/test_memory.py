"""What was freed goes back to the system."""

import os
from pathlib import Path

import pytest

from switchgear.net import memory as module
from switchgear.net.memory import FREED_BYTES, LOOK_S, Memory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_that_was_freed_between_what_lives_is_given_back():
    memory = Memory()
    if memory._info is None:
        pytest.skip("this C library has no mallinfo2 (glibc 2.33)")
    memory.tick(LOOK_S)
    before = resident()
    pieces = [bytearray(60_000) for _ in range(2_000)]
    for piece in pieces:
        piece[::4096] = b"x" * len(piece[::4096])
    full = resident()
    kept = pieces[::50]
    del pieces, piece
    assert full - before > 3 * FREED_BYTES
    memory.tick(2 * LOOK_S)
    assert memory.given_back > 0 and resident() - before < (full - before) / 3
    del kept


def test_the_heap_is_not_looked_at_before_the_interval_is_over():
    memory = Memory()
    memory._info = lambda: pytest.fail("looked")
    memory.tick(LOOK_S / 2)


def test_memory_of_a_flood_between_two_looks_is_given_back():
    memory = Memory()
    if memory._info is None:
        pytest.skip("this C library has no mallinfo2 (glibc 2.33)")
    kept = []
    for turn in (1, 2, 3):
        before = resident()
        pieces = [bytearray(60_000) for _ in range(2_000)]
        for piece in pieces:
            piece[::4096] = b"x" * len(piece[::4096])
        full = resident()
        kept += pieces[::50]
        del pieces, piece
        memory.tick(turn * LOOK_S)
        assert memory.given_back == turn and resident() - before < (full - before) / 3


def test_memory_freed_after_a_look_is_given_back_at_the_next_and_then_no_more(monkeypatch):
    """Few bytes keep many pages: the last of a flood's connections."""
    memory, trims, faults = Memory(), [], [0]
    memory._info = lambda: type("Info", (), {"fordblks": 2 * module.FREED_BYTES})
    memory._trim = lambda _: trims.append(1)
    monkeypatch.setattr(module, "_faults", lambda: faults[0])
    for look, (more, count) in enumerate([(0, 0), (module.FAULTS, 1), (10, 2), (10, 2), (10, 2)], 1):
        faults[0] += more
        memory.tick(look * LOOK_S)
        assert len(trims) == count, look
