import base64
import random

from switchgear.core import virtual_key
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files
from switchgear.testing.corpus import CLASSES, expand, true_lines

RULES = Library.read(shipped_files()).keys


def test_a_class_of_letters_expands_to_its_letters_only():
    for name, letters in CLASSES.items():
        text = expand(f"<{name}*200>", random.Random(1))
        assert len(text) == 200 and set(text) <= set(letters)


def test_a_special_template_expands_to_a_valid_key():
    assert virtual_key.parse_id(expand("<switchgear>", random.Random(1))) is not None
    assert base64.b64decode(expand("<b64:BedrockAPIKey-x*72>", random.Random(1)) + "==").startswith(b"BedrockAPIKey-x")


def test_the_corpus_is_the_same_each_time_and_has_all_kinds():
    one, other = (list(true_lines(RULES, 14, seed=3)) for _ in range(2))
    assert one == other and len(one) >= 1_000
    assert len({rule.id for rule, _ in one}) == len(RULES) >= 50
    assert len({text for _, text in one}) > 0.9 * len(one)
