import pytest

from switchgear.core.network import check_network


@pytest.mark.parametrize("text", ["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"])
def test_a_well_formed_network_is_accepted(text):
    assert check_network(text) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("2001:db8::1/32", "write 2001:db8::/32"),
        ("10.0.0.0/40", "e.g. 10.0.0.0/8"),
        ("office", "e.g. 10.0.0.0/8"),
        ("", "e.g. 10.0.0.0/8"),
    ],
)
def test_a_malformed_network_is_refused_with_the_likely_one(text, hint):
    assert hint in check_network(text)
