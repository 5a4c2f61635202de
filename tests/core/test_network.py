import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import key_policy
from switchgear.core.network import NETWORKS_MAX, both, check_network


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


NETWORKS = st.builds(
    lambda number, length: str(ipaddress.ip_network((number << 24, length), strict=False)),
    st.integers(0, 7),
    st.integers(0, 8),
) | st.builds(
    lambda number, length: str(ipaddress.ip_network((number << 120, length), strict=False)),
    st.integers(0, 7),
    st.integers(0, 8),
)


@given(st.lists(NETWORKS, max_size=6), st.lists(NETWORKS, max_size=6))
def test_what_lies_in_both_lists_is_what_the_standard_library_finds_address_by_address(one, other):
    def lies_in(address, texts):
        return any(address in network for network in map(ipaddress.ip_network, texts))

    found = both(one, other)
    for number in range(9):
        for address in (ipaddress.IPv4Address(number << 24), ipaddress.IPv6Address(number << 120)):
            assert lies_in(address, found) == (lies_in(address, one) and lies_in(address, other))


def test_of_two_lists_each_network_is_read_once(monkeypatch):
    read, reads = ipaddress.ip_network, []
    monkeypatch.setattr("ipaddress.ip_network", lambda *given: reads.append(given) or read(*given))
    one = [f"10.{number}.0.0/16" for number in range(100)]
    assert both(one, ["10.0.0.0/8", "office", *one]) == one
    assert len(reads) == 202


def test_a_list_of_more_networks_than_are_looked_at_is_refused():
    networks = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(NETWORKS_MAX + 1)]
    assert [path for path, _ in key_policy.check({"cidrs": networks})] == ["cidrs"]
    assert list(key_policy.check({"cidrs": networks[1:]})) == []
