"""Marks of the cache beside what Anthropic takes of them ("Prompt caching": 4 marks, longer ones first)."""

from switchgear.dialects import canonical
from switchgear.dialects.cache_marks import fit_marks


def asked(system=(), turns=(), tools=(), cache=None):
    messages = [canonical.Message("user", [canonical.Text(str(n), mark)]) for n, mark in enumerate(turns)]
    return canonical.Request(
        model="m",
        system=[canonical.Text("s", mark) for mark in system],
        tools=[canonical.Tool(f"t{n}", cache=mark) for n, mark in enumerate(tools)],
        messages=messages,
        cache=cache,
    )


def marks(request):
    parts = [part for message in request.messages for part in message.parts]
    return [one.cache for one in (*request.tools, *request.system, *parts)]


def test_of_too_many_marks_the_last_ones_and_the_end_of_what_never_changes_stay():
    request = asked(system=["5m", "5m"], turns=["5m"] * 5)
    fit_marks(request, 4, False)
    assert marks(request) == [None, "5m", None, None, "5m", "5m", "5m"]


def test_marks_of_tools_alone_are_cut_to_the_last():
    request = asked(tools=["5m"] * 6)
    fit_marks(request, 4, False)
    assert marks(request) == [None, None, *["5m"] * 4]


def test_a_long_mark_does_not_follow_a_short_one():
    request = asked(system=["5m"], turns=["1h"])
    fit_marks(request, 4, False)
    assert marks(request) == ["5m", "5m"]
    request = asked(system=["1h"], turns=["5m"])
    fit_marks(request, 4, False)
    assert marks(request) == ["1h", "5m"]


def test_a_prompt_that_is_cached_as_a_whole_has_its_end_marked_where_it_cannot_be_said_otherwise():
    request = asked(turns=[None, None], cache="1h")
    fit_marks(request, 4, False)
    assert marks(request) == [None, "1h"] and request.cache is None
    request = asked(turns=[None], cache="5m")
    fit_marks(request, 4, True)
    assert marks(request) == [None] and request.cache == "5m"


def test_where_there_is_no_cache_the_wish_for_it_is_named():
    request = asked(turns=[None], cache="5m")
    fit_marks(request, 0, False)
    assert request.dropped == ["cache_control"] and request.cache is None
