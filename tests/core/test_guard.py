"""Unexpected exceptions end one thing, and are told and counted."""

import asyncio

import pytest

from switchgear.core.guard import PLACES_MAX, Guard, call_each, each, guarded, place_of


class Thing:
    def __init__(self):
        self.ended = []

    def _end(self, exc):
        self.ended.append(exc)

    @guarded(_end)
    def none(self):
        raise KeyError(600)

    @guarded(_end)
    def one(self, first):
        return first / 0

    @guarded(_end)
    def several(self, first, second, third=0):
        return first / second / third

    @guarded(_end)
    def good(self, first):
        return first

    @guarded(_end)
    async def task(self, first):
        await asyncio.sleep(0)
        return first / 0

    @guarded(_end)
    def leave(self):
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda thing: thing.none(), KeyError),
        (lambda thing: thing.one(1), ZeroDivisionError),
        (lambda thing: thing.several(1, 1), ZeroDivisionError),
        (lambda thing: thing.several(1, 1, third=0), ZeroDivisionError),
        (lambda thing: asyncio.run(thing.task(1)), ZeroDivisionError),
    ],
)
def test_a_door_ends_its_own_thing_and_its_caller_goes_on(call, kind):
    thing = Thing()
    assert call(thing) is None
    assert [type(exc) for exc in thing.ended] == [kind]


def test_a_door_passes_on_what_is_returned_and_what_is_no_fault():
    thing = Thing()
    assert thing.good(3) == 3
    with pytest.raises(SystemExit):
        thing.leave()
    assert not thing.ended
    assert Thing.good.__name__ == "good" and Thing.good.guarded_end is Thing._end


def test_a_task_that_is_cancelled_is_cancelled():
    async def body():
        thing = Thing()
        task = asyncio.ensure_future(thing.task(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not thing.ended

    asyncio.run(body())


def test_an_item_that_raises_leaves_the_other_items_done():
    done, ended = [], []
    each([2, 0, 4], lambda item: done.append(8 // item), lambda item, exc: ended.append((item, type(exc))))
    assert done == [4, 2] and ended == [(0, ZeroDivisionError)]


def fault(text="x"):
    try:
        int(text)
    except ValueError as exc:
        return exc
    raise AssertionError


class Said(list):
    def __call__(self, text, level="warning", *, kind="", request_id=None, **fields):
        self.append((text, level, kind, request_id, fields))


def test_a_fault_is_told_with_its_id_and_place_and_never_with_its_words():
    said = Said()
    guard = Guard(said)
    guard.caught(fault("sk-secret-prompt"), "01ab", credential="openai/main")
    ((text, level, kind, request_id, fields),) = said
    assert text.startswith("fault: ValueError in ") and level == "error"
    assert "test_guard.py" in text and " fault" in text and "sk-secret" not in text
    assert request_id == "01ab" and fields == {"credential": "openai/main"}
    assert kind.startswith("fault tests/core/test_guard.py:") or "test_guard.py:" in kind
    assert guard.faults == 1 and list(guard.places.values()) == [1]


def test_L7_faults_of_one_place_are_lines_of_one_kind():
    said = Said()
    guard = Guard(said)
    for number in range(50):
        guard.caught(fault(), str(number))
    assert len({kind for _, _, kind, _, _ in said}) == 1 and guard.faults == 50


def test_a_guard_remembers_a_bounded_number_of_places():
    guard = Guard(Said())
    guard.places = {str(number): 1 for number in range(PLACES_MAX)}
    guard.caught(fault())
    assert len(guard.places) == PLACES_MAX and guard.faults == 1


def test_an_exception_that_was_never_raised_has_no_place():
    assert place_of(ValueError()) == "an unknown place"


def test_calls_are_made_in_their_order_and_one_that_fails_ends_what_it_was_for():
    made, ended = [], []

    def fail(word):
        raise ValueError(word)

    calls = [("a", made.append, (1,)), ("b", fail, ("odd",)), ("c", made.append, (2,))]
    call_each(calls, lambda item, exc: ended.append((item, str(exc))))
    assert (made, ended) == ([1, 2], [("b", "odd")])


class Doors:
    def __init__(self):
        self.ended = 0

    def _end(self, exc):
        self.ended += 1

    @guarded(_end)
    def two(self, first, second):
        return [first, second][1 if first else 2]

    @guarded(_end)
    def three(self, first, second, third):
        return [first, second, third][2 if first else 3]


@pytest.mark.parametrize(("name", "arguments"), [("two", (1, 7)), ("three", (1, 2, 7))])
def test_a_door_of_several_arguments_gives_its_result_and_ends_with_its_fault(name, arguments):
    doors = Doors()
    assert getattr(doors, name)(*arguments) == 7
    assert getattr(doors, name)(0, *arguments[1:]) is None
    assert doors.ended == 1
