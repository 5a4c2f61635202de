"""The way of a request and of an event costs no more bytecodes and calls than it did: a count, which no load changes."""

import sys

import pytest

from switchgear.bench import opcodes


@pytest.fixture(scope="module")
def counted():
    return opcodes.measure()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the ceilings are of CPython 3.11's bytecodes")
@pytest.mark.parametrize("case", opcodes.CEILINGS)
@pytest.mark.parametrize("what", ["edge", "vault", "calls"])
def test_the_cost_of_a_way_does_not_grow(counted, case, what):
    count, ceiling = opcodes.row(counted[case])[what], opcodes.CEILINGS[case][what]
    top = "".join(f"\n  {number:7.1f}  {name}" for name, number in list(counted[case].top(what).items())[:15])
    assert count <= ceiling * opcodes.GROWTH_MAX, f"{case}: {count:.0f} in {what}, {ceiling} before{top}"


def test_every_case_is_counted_and_has_a_ceiling(counted):
    assert set(counted) == set(opcodes.CEILINGS)


def test_a_second_count_gives_the_same_figures(counted):
    again = opcodes.measure("a plain request")["a plain request"]
    assert opcodes.row(again) == opcodes.row(counted["a plain request"])


def test_functions_of_both_processes_are_counted_apart(counted):
    functions = counted["a plain request"].functions
    assert any(name.startswith("edge/handler.py") for name in functions["edge"])
    assert not any(name.startswith("edge/") for name in functions["vault"])
    assert any(name.startswith("vault/") for name in functions["vault"])
    assert not any(name.startswith("vault/") for name in functions["edge"])
