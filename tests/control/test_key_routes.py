import msgspec
import pytest

from switchgear.control.key_routes import KeyChange, KeyCreate, _check_key
from switchgear.core.errors import UserError


@pytest.mark.parametrize(
    ("name", "models", "cidrs", "texts", "rules", "said"),
    [
        ("Not A Name", None, None, [], None, "is not a name"),
        ("a", [""], None, [], None, "not a model name"),
        ("a", None, ["10.0.0.1/33"], [], None, "does not appear"),
        ("a", None, None, ["x" * 65], None, "printable"),
        ("a", None, None, ["x\x1b"], None, "printable"),
        ("a", None, None, [], ["nonsense"], "nonsense"),
    ],
)
def test_what_a_key_may_not_have(name, models, cidrs, texts, rules, said):
    with pytest.raises(UserError, match=said):
        _check_key(name, models, cidrs, texts, rules)


def test_a_good_key():
    _check_key("ci-bot", ["openai/*"], ["10.0.0.0/8"], ["research", None], None)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "sha256": "A" * 64},
        {"name": "a", "sha256": "0" * 63},
        {"name": "a", "sha256": "0" * 64, "spent_nanousd": -1},
        {"name": "a", "sha256": "0" * 64, "spent_nanousd": 2**63},
        {"name": "a", "secret": "x"},
    ],
)
def test_bodies_that_do_not_fit(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, KeyCreate)


def test_what_is_not_given_does_not_change():
    assert (
        msgspec.convert({}, KeyChange).team is msgspec.UNSET and msgspec.convert({"team": None}, KeyChange).team is None
    )
