"""Which addresses an upstream may have (hardening: SSRF)."""

import pytest

from switchgear.net import addresses
from switchgear.net.addresses import is_allowed


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "100.100.100.200",
        "not an address",
        "",
    ],
)
def test_private_and_special_addresses_are_denied(address):
    assert not is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
def test_public_addresses_are_allowed(address):
    assert is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1"])
def test_private_ones_are_allowed_where_declared(address):
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "::ffff:169.254.169.254"]
)
def test_metadata_services_are_never_allowed(address):
    assert not is_allowed(address, allow_private=True)


def test_the_metadata_service_is_reached_by_its_address_and_by_who_may_only():
    own = addresses.METADATA_ADDRESS
    assert addresses.are_allowed([own], own, True, metadata=True)
    assert not addresses.are_allowed([own], own, True)
    assert not addresses.are_allowed([own], "metadata.example.com", True, metadata=True)
    assert not addresses.are_allowed([own, "1.1.1.1"], own, True, metadata=True)


def test_one_bad_answer_spoils_all():
    assert addresses.are_allowed(["1.1.1.1"], "x", False)
    assert not addresses.are_allowed(["1.1.1.1", "10.0.0.1"], "x", False)
    assert not addresses.are_allowed([], "x", True)


# Looked up as `addresses` says, 2026-11-26; the forms are those of RFC 4291, 6052, 8215, 3056, 4380 and 5214.
@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "169.254.42.42",
        "fd20:ce::254",
        "fd00:ec2::23",
        "fd00:42::42",
        "fd00:c1::a9fe:a9fe",
        "fd00:a9fe:a9fe::1",
        "fd00:100::100:200",
        "::ffff:168.63.129.16",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a83f:8110",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:102:304:0:0:5601:5601",
        "fd00::5efe:a9fe:a9fe",
        "fd00::200:5efe:a9fe:a9fe",
        "::a9fe:a9fe",
        "0.0.0.1",
        "255.255.255.255",
        "fe80::a9fe:a9fe%eth0",
    ],
)
def test_a_clouds_own_services_are_never_allowed_in_any_form(address, allow_private):
    assert not is_allowed(address, allow_private)


@pytest.mark.parametrize("address", ["64:ff9b::a00:1", "fd12:3456::1", "fd20:ce::253", "168.63.129.17"])
def test_neighbours_of_them_are_as_any_other(address):
    assert is_allowed(address, allow_private=True)
