from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.prefilter import AFTER_MAX, Prefilter

PREFILTER = Prefilter({"abc": {"1"}, "xabcx": {"2"}, "q-": {"3"}})


def lines(block: bytes) -> list[tuple[bytes, set[str]]]:
    return [(block[start:end], set(tags)) for start, end, tags in PREFILTER.lines(block)]


def test_lines_with_words_whatever_their_case():
    assert lines(b"none\nan ABC here\n\nq-q-\n") == [(b"an ABC here", {"1"}), (b"q-q-", {"3"})]


def test_a_line_has_the_tags_of_all_its_words():
    assert lines(b"abc and q-") == [(b"abc and q-", {"1", "3"})]


def test_a_line_with_a_word_inside_another_has_the_tags_of_both():
    assert lines(b"..xabcx..") == [(b"..xabcx..", {"1", "2"})]


def test_an_endless_line_is_cut_around_the_word():
    (start, end, _), *more = list(PREFILTER.lines(b"a" * 100_000 + b" abc " + b"b" * 100_000))
    assert not more and start <= 100_001 < end and end - start <= 4_096 + AFTER_MAX + 1


@given(st.lists(st.text("abcxq- \r", max_size=20), max_size=20))
def test_the_prefilter_finds_the_same_lines_as_a_search_of_each_line(texts):
    block = "\n".join(texts).encode()
    wanted = [t for t in texts if "abc" in t or "q-" in t]
    assert [line.decode() for line, _ in lines(block)] == wanted


def test_signs_of_patterns_are_plain_text():
    assert [line for line, _ in [(b, t) for b, t in lines(b"a+c a.c")]] == []
