"""The store of answers: its bounds, whose answers leave first, and who waits for whom."""

import random

import pytest

from switchgear.edge.answer_cache import (
    ANSWER_BYTES_MAX,
    ANSWER_COST_BYTES,
    MISS,
    PIECE_COST_BYTES,
    AnswerCache,
    CachedAnswer,
    Recall,
)

PLAIN = ANSWER_COST_BYTES + PIECE_COST_BYTES


def answer(size=100, until_s=1_000.0, made_s=0.0):
    return CachedAnswer(b"application/json", (b"x" * size,), False, made_s, until_s, 5, "stop", size)


def test_an_answer_is_found_by_its_scope_and_name_until_its_time_is_over():
    cache = AnswerCache()
    kept = answer(until_s=10.0)
    assert cache.put("team:a", b"n", kept, 0)
    assert cache.get("team:a", b"n", 9.9, 60) is kept
    assert cache.get("team:b", b"n", 9.9, 60) is None
    assert cache.get("team:a", b"m", 9.9, 60) is None
    assert cache.get("team:a", b"n", 9.9, 5) is None, "it is older than what was asked for"
    assert cache.get("team:a", b"n", 10.0, 60) is None
    assert (len(cache), cache.held_bytes) == (0, 0)


def test_what_is_too_large_is_not_kept():
    cache = AnswerCache()
    assert not cache.put("a", b"n", answer(ANSWER_BYTES_MAX), 0)
    assert cache.put("a", b"n", answer(ANSWER_BYTES_MAX - PLAIN), 0)


def test_a_scope_at_its_bound_loses_its_own_longest_unused():
    cache = AnswerCache(100_000, 3 * (PLAIN + 100))
    for name in (b"1", b"2", b"3"):
        cache.put("a", name, answer(), 0)
    cache.put("b", b"1", answer(), 0)
    cache.get("a", b"1", 0.0, 60)
    cache.put("a", b"4", answer(), 0)
    assert [name for name in (b"1", b"2", b"3", b"4") if cache.get("a", name, 0.0, 60)] == [b"1", b"3", b"4"]
    assert cache.get("b", b"1", 0.0, 60)


def test_who_fills_the_cache_pushes_out_its_own_answers():
    cache = AnswerCache(40 * (PLAIN + 100), 30 * (PLAIN + 100))
    for number in range(5):
        cache.put("small", b"%d" % number, answer(), 0)
    for number in range(1_000):
        cache.put(f"hostile{number % 2}", b"%d" % number, answer(), 0)
    assert all(cache.get("small", b"%d" % number, 0.0, 60) for number in range(5))
    assert cache.held_bytes <= 40 * (PLAIN + 100)


def test_a_purge_forgets_everything_and_takes_nothing_that_was_asked_before():
    cache = AnswerCache()
    cache.put("a", b"n", answer(), 0)
    cache.heed(7)
    assert cache.get("a", b"n", 0.0, 60) is None
    assert not cache.put("a", b"n", answer(), 0)
    assert cache.put("a", b"n", answer(), 7)


def test_a_sweep_lets_go_of_what_is_over_and_of_nothing_else():
    cache = AnswerCache()
    cache.put("a", b"1", answer(until_s=5.0), 0)
    cache.put("a", b"2", answer(until_s=50.0), 0)
    cache.put("a", b"1", answer(until_s=60.0), 0)
    cache.sweep(10.0)
    assert len(cache) == 2
    cache.sweep(55.0)
    assert len(cache) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_books_add_up_whatever_is_done(seed):
    draw = random.Random(seed)
    cache = AnswerCache(60 * PLAIN, 20 * PLAIN)
    for step in range(2_000):
        scope, name = f"s{draw.randrange(9)}", b"%d" % draw.randrange(40)
        if draw.random() < 0.6:
            cache.put(scope, name, answer(draw.randrange(3_000), until_s=step + draw.randrange(200)), 0)
        elif draw.random() < 0.9:
            cache.get(scope, name, float(step), 1e9)
        else:
            cache.sweep(float(step))
        held = {name: sum(one.held_bytes for one in scope.answers.values()) for name, scope in cache._scopes.items()}
        assert {name: scope.held_bytes for name, scope in cache._scopes.items()} == held
        assert cache.held_bytes == sum(held.values()) <= 60 * PLAIN
        assert max(held.values(), default=0) <= 20 * PLAIN
        assert {one: bits for bits, alike in cache._sizes.items() for one in alike} == {
            one: size.bit_length() for one, size in held.items()
        }


def test_those_that_wait_are_called_once_and_in_their_order():
    cache, called = AnswerCache(), []
    flight = cache.lead(b"n", 10.0)
    assert cache.flight(b"n", 9.0) is flight
    assert cache.flight(b"n", 10.0) is None, "nobody waits for one that is lost"

    def gone(has_answer, number):
        called.append("gone")

    cache.follow(flight, lambda has_answer, number: called.append((1, has_answer, number)))
    cache.follow(flight, gone)
    cache.follow(flight, lambda has_answer, number: called.append((2, has_answer, number)))
    cache.unfollow(flight, gone)
    assert cache.following == 2
    flight.land(True)
    flight.land(False)
    assert called == [(1, True, 0), (2, True, 1)]
    assert cache.following == 0
    assert cache.flight(b"n", 0.0) is None


def test_an_answer_that_grows_too_large_is_let_go_of():
    known = Recall(b"miss", stores=True)
    known.add(b"x" * 1_000)
    known.add(b"x" * ANSWER_BYTES_MAX)
    assert (known.stores, known.pieces) == (False, [])


def test_routes_are_compared_once_for_all_that_waited():
    class Routes:
        compared = 0

        def __eq__(self, other):
            Routes.compared += 1
            return True

        __hash__ = None

    cache, before, now = AnswerCache(), Routes(), Routes()
    assert all(cache.is_same(before, now) for _ in range(100))
    assert cache.is_same(now, now)
    assert Routes.compared == 1
    assert cache.is_same(before, Routes())
    assert Routes.compared == 2


def test_answers_under_way_are_a_bounded_part_of_all_and_given_back_however_they_end():
    cache, piece = AnswerCache(bytes_max=40_000), b"p" * 1_000
    under_way = [Recall(MISS, stores=True, cache=cache) for _ in range(12)]
    for known in under_way:
        known.add(piece)
    assert [known.stores for known in under_way] == [True] * 9 + [False] * 3
    assert cache.collected_bytes == 9 * (1_000 + PIECE_COST_BYTES)
    for known in under_way:
        known.leave()
        known.leave()
    assert cache.collected_bytes == 0


def test_what_is_kept_makes_room_for_what_is_under_way():
    cache = AnswerCache(bytes_max=40_000, scope_bytes_max=40_000)
    for number in range(30):
        cache.put("s", b"%d" % number, answer(1_000), 0)
    assert cache.collect(10_000)
    cache.put("s", b"more", answer(1_000), 0)
    assert cache.held_bytes + cache.collected_bytes <= 40_000
