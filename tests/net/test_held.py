"""Shares of what may be held: nobody takes what others need."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.net.held import HeldBytes


def fill(held, owner, size=1):
    taken = 0
    while held.take(owner, size):
        taken += size
    return taken


def test_one_owner_alone_takes_half_two_a_third_each_and_there_is_room_for_a_newcomer():
    # Choudhury and Hahne 1998, equation 2: with alpha = 1, n owners hold 1/(n + 1) of the whole each.
    held = HeldBytes(1_200)
    assert fill(held, "a") == 600
    assert fill(held, "b") == 300
    held.give("a", 200)
    assert fill(held, "b") == 100 and (held.of("a"), held.of("b")) == (400, 400)
    assert held.take("newcomer", 200) and not held.take("a", 1)


def test_refused_bytes_are_not_counted():
    held = HeldBytes(100)
    assert not held.take("a", 51)
    assert (held.total, held.of("a")) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), max_size=60))
def test_sums_are_right_and_the_bound_holds(steps):
    held, taken = HeldBytes(100), []
    for owner, size in steps:
        if held.take(owner, size):
            taken.append((owner, size))
        elif taken:
            held.give(*taken.pop(0))
        assert held.total == sum(size for _, size in taken) <= 100
    for owner, size in taken:
        held.give(owner, size)
    assert held.total == 0 and all(held.of(owner) == 0 for owner in "abc")
    held.give("a", 0)
