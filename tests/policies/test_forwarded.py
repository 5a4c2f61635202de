"""X-Forwarded-For. The cases follow RFC 7239 §5.2, §7.1 and MDN's "Selecting an IP address" (read 2026-11-26): count from the
right, never trust the left."""

import pytest

from switchgear.policies.forwarded import HOPS_MAX, Proxies

PROXIES = Proxies(["10.0.0.0/8", "127.0.0.1/32", "2001:db8:ffff::/48"])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ("10.0.0.1", True)),
        (b"203.0.113.7", ("203.0.113.7", True)),
        (b"  203.0.113.7\t", ("203.0.113.7", True)),
        # the client's own claim stands left of what the proxy appended
        (b"203.0.113.7, 198.51.100.1", ("198.51.100.1", True)),
        # several proxies in a row
        (b"203.0.113.7, 198.51.100.1, 10.1.1.1,10.2.2.2", ("198.51.100.1", True)),
        (b"2001:db8::1, 2001:db8:ffff::9", ("2001:db8::1", True)),
        # ports, as Azure's and some others write them
        (b"203.0.113.7:4711", ("203.0.113.7", True)),
        (b"[2001:db8::1]:4711", ("2001:db8::1", True)),
        (b"[2001:db8::1]", ("2001:db8::1", True)),
        # IPv4 within IPv6 is the same address
        (b"::ffff:203.0.113.7", ("203.0.113.7", True)),
        (b"203.0.113.7, ::ffff:10.1.1.1", ("203.0.113.7", True)),
        # nothing but proxies: the first of them
        (b"10.3.3.3, 10.2.2.2", ("10.3.3.3", True)),
        # what cannot be read ends the search at the last good hop, and nothing is certain
        (b"", ("10.0.0.1", False)),
        (b"203.0.113.7,", ("10.0.0.1", False)),
        (b"203.0.113.7, unknown", ("10.0.0.1", False)),
        (b"203.0.113.7, _hidden, 10.1.1.1", ("10.1.1.1", False)),
        (b"203.0.113.7, 10.1.1.1:x", ("10.0.0.1", False)),
        (b"203.0.113.07", ("10.0.0.1", False)),
        (b"0x7f.1", ("10.0.0.1", False)),
        (b"2130706433", ("10.0.0.1", False)),
        (b"fe80::1%eth0", ("10.0.0.1", False)),
        (b'"203.0.113.7"', ("10.0.0.1", False)),
        (b"for=203.0.113.7", ("10.0.0.1", False)),
        (b"203.0.113.7 198.51.100.1", ("10.0.0.1", False)),
        (b"[203.0.113.7]", ("10.0.0.1", False)),
        (b"\xff\xfe", ("10.0.0.1", False)),
    ],
)
def test_the_client_is_the_rightmost_hop_that_is_no_proxy(header, expected):
    assert PROXIES.client("10.0.0.1", header) == expected


def test_endless_lists_are_not_searched_to_their_end():
    header = b",".join([b"203.0.113.7", *[b"10.0.0.1"] * (HOPS_MAX + 1)])
    assert PROXIES.client("10.0.0.1", header) == ("10.0.0.1", False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.9.9.9", True), ("::ffff:10.9.9.9", True), ("11.0.0.1", False), ("2001:db8:ffff::1", True), ("2001:db8::1", False),
     (None, False), ("", False), ("10.0.0.1%x", False)],
)  # fmt: skip
def test_only_peers_of_the_networks_are_believed(address, expected):
    assert PROXIES.trusts(address) is expected


def test_networks_must_be_networks():
    with pytest.raises(ValueError, match="host bits"):
        Proxies(["10.0.0.1/8"])
