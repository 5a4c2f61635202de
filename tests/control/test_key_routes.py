import msgspec
import pytest

from switchgear.control.key_routes import KeyChange, KeyCreate, _check_policy
from switchgear.core.errors import UserError


def test_a_wrong_value_is_refused_with_its_place():
    with pytest.raises(UserError, match=r"tags\[1\]: .*printable"):
        _check_policy({"tags": ["a=b", "x" * 65]})
    with pytest.raises(UserError, match="expires"):
        _check_policy({"expires": "someday"})


def test_a_well_formed_policy_is_accepted():
    _check_policy({"models": ["openai/*"], "cidrs": ["10.0.0.0/8"], "team": "research", "user": None})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "sha256": "A" * 64},
        {"name": "a", "sha256": "0" * 63},
        {"name": "a", "sha256": "0" * 64, "spent_nanousd": -1},
        {"name": "a", "sha256": "0" * 64, "spent_nanousd": 2**63},
        {"name": "a", "secret": "x"},
        {"name": "a", "expires_ms": 5},
        {"team": "research"},
    ],
)
def test_bodies_that_do_not_fit(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, KeyCreate)


def test_a_field_missing_from_a_change_stays_unset():
    assert (
        msgspec.convert({}, KeyChange).team is msgspec.UNSET and msgspec.convert({"team": None}, KeyChange).team is None
    )
