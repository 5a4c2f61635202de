# switchgear:allow-file: samples of what it finds
import random
import re

import pytest

from switchgear.detect.keys import CHECKS, KeyDetector, entropy
from switchgear.detect.prefilter import Prefilter
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files
from switchgear.testing.corpus import expand, true_lines

RULES = Library.read(shipped_files()).keys
DETECTOR = KeyDetector(RULES)
PREFILTER = Prefilter(DETECTOR.words())


def found(text: str) -> list[tuple[str, str]]:
    block = text.encode()
    hits = [h for start, end, tags in PREFILTER.lines(block) for h in DETECTOR.find(block, start, end, tags)]
    return [(hit.rule.id, hit.value.decode()) for hit in hits]


def test_at_least_50_kinds_of_keys_are_known_and_each_has_samples():
    assert len(RULES) >= 50
    assert all(rule.positive and rule.negative and rule.source and rule.as_of for rule in RULES)
    assert {rule.check for rule in RULES} - {None} <= CHECKS
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_a_rule_finds_its_positives_and_no_other_rule_does(rule):
    rng = random.Random(rule.id)
    for template in rule.positive:
        for _ in range(20):
            text = expand(template, rng)
            assert [name for name, _ in found(text)] == [rule.id], text


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_a_rule_does_not_find_its_negatives(rule):
    rng = random.Random(rule.id)
    for template in rule.negative:
        text = expand(template, rng)
        assert rule.id not in [name for name, _ in found(text)], text


def test_recall_over_a_corpus_of_thousands_in_all_kinds():
    missed = total = 0
    for rule, text in true_lines(RULES, 40, seed=7):
        total += 1
        missed += rule.id not in [name for name, _ in found(text)]
    assert total >= 2_900
    assert missed <= total * 0.01, f"{missed} of {total}"


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI_API_KEY=${OPENAI_API_KEY}",
        "OPENAI_API_KEY={{ secrets.OPENAI }}",
        "api_key: os.environ/OPENAI_API_KEY",
        'api_key="sk-your-openai-api-key-goes-here"',
        "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "OPENAI_API_KEY=sk-...",
        "api_key = 'sk-1234567890abcdefghijklmnopqrstuv'",
        "ANTHROPIC_API_KEY=sk-ant-api03-your-key-here",
        "mistral_api_key_sha256 = 0123abcd0123abcd0123abcd0123abcd",
        "key = 'sk-test-0000000000000000000000000000000'",
        "the key looks like sk-ant-api03-… and is 108 characters long",
        "api_key = get_api_key()",
        "cohere_api_key: Optional[str] = None",
    ],
)
def test_placeholders_and_references_are_no_keys(line):
    assert found(line) == []


def test_a_key_stands_alone():
    key = expand("gsk_<alnum*52>", random.Random(1))
    assert found(f"x={key}") and not found(f"x={key}abc") and not found(f"x=a{key}")


def test_an_endless_line_is_searched_around_its_words():
    key = expand("gsk_<alnum*52>", random.Random(2))
    text = "a" * 500_000 + " " + key + " " + "b" * 500_000
    assert found(text) == [("groq", key)]


def unbounded(parsed, inside=False) -> bool:
    """Tell whether a repetition without end stands in another: (x+)*, (?:a+-)*."""
    for operation, value in parsed:
        name = str(operation)
        if name.endswith("REPEAT"):
            _low, high, body = value
            endless = high == re._constants.MAXREPEAT
            if (endless and inside) or unbounded(body, inside or endless):
                return True
        elif (name == "SUBPATTERN" and unbounded(value[-1], inside)) or (
            name == "BRANCH" and any(unbounded(branch, inside) for branch in value[1])
        ):
            return True
    return False


@pytest.mark.parametrize("pattern", [r"(a+)+", r"(?:[a-z]+-)*x", r"(?:a|b*)*"])
def test_nested_repetition_is_seen(pattern):
    assert unbounded(re._parser.parse(pattern))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_patterns_repeat_nothing_without_end(rule):
    for pattern in (rule.pattern, rule.context or "", rule.near or ""):
        assert not unbounded(re._parser.parse(pattern), inside=False)


def test_entropy_tells_random_from_repeated():
    assert entropy(b"") == 0 and entropy(b"aaaa") == 0 and entropy(b"abcd") == 2


def test_a_pattern_that_looks_at_a_whole_piece_begins_with_fixed_text():
    # `near` is searched in megabytes: a repetition at its start would be tried at every byte.
    for rule in RULES:
        if rule.near is not None:
            first = next(iter(re._parser.parse(rule.near)))
            assert str(first[0]) in {"LITERAL", "BRANCH", "IN"}, rule.id
