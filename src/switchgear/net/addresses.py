"""Which addresses an upstream may have. Level 2 (SSRF: resolve once, check every answer, connect to that answer).

`is_global` alone is not enough: NAT64, 6to4 and mapped forms carry private IPv4 addresses inside public-looking ones.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_ADDRESS = "169.254.169.254"
"""Where EC2 and Azure machines ask who they are. Reached by the vault's own questions for tokens only."""
_NEVER = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # EC2, ECS, EKS, Azure, GCP, Oracle, DigitalOcean, OpenStack, Scaleway, …
        "168.63.129.16/32",  # Azure: WireServer, on every virtual machine
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud, classic
        "224.0.0.0/4",
        "255.255.255.255/32",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::/32",  # EC2 (::254), EKS pod identity (::23), Time and DNS
        "fd20:ce::254/128",  # Google Cloud
        "fd00:42::42/128",  # Scaleway
        "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
        "fd00:a9fe:a9fe::1/128",  # Akamai (Linode)
        "fd00:100::100:200/128",  # Alibaba Cloud
    )
]
"""Services of a cloud that trust whoever can reach them, and what is no host. Looked up on 2026-11-26: Scaleway's, Akamai's and
Alibaba's in cloud-init's documents and tests, Oracle's in the scripts of its images, AWS's in its SDKs (`fd00:ec2::23`); those of
Google and Azure, and 192.0.0.192, only in the deny lists of many public programs. One that is wrong costs one private address."""
_DENIED = [
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
]


def is_literal(host: str) -> bool:
    """Tell whether a host is written as an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_allowed(text: str, allow_private: bool) -> bool:
    """Tell whether an upstream may live at an address.

    Services of clouds for their machines, multicast and the unspecified address are never allowed, whatever form of address
    holds them; loopback and private ranges only where the credential was sealed with `allow_private`.
    """
    try:
        address: Address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or any(_is_never(inner) for inner in (address, *_embedded(address))):
        return False
    if allow_private:
        return True
    return address.is_global and not any(address.version == net.version and address in net for net in _DENIED)


def _is_never(address: Address) -> bool:
    return any(address.version == net.version and address in net for net in _NEVER)


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address may lead to: NAT64 (RFC 6052 §2.2, RFC 8215), 6to4 (RFC 3056), Teredo (RFC
    4380), ISATAP (RFC 5214), IPv4-compatible (RFC 4291 §2.5.5.1)."""
    if not isinstance(address, ipaddress.IPv6Address) or address.is_loopback:
        return []
    raw = address.packed
    found = [raw[12:16]] if any(address in net for net in _LAST_FOUR) or raw[8:12] in _ISATAP else []
    if address in _NAT64_LOCAL:  # the local prefix may have any length of RFC 6052; octet 8 is skipped
        found += [raw[6:8] + raw[9:11], raw[7:8] + raw[9:12], raw[9:13]]
    if address.sixtofour is not None:
        found.append(raw[2:6])
    if address.teredo is not None:
        found += [address.teredo[0].packed, address.teredo[1].packed]
    return [ipaddress.IPv4Address(four) for four in found]


_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_LAST_FOUR = [ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")]
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def are_allowed(candidates: list[str], host: str, allow_private: bool, metadata: bool = False) -> bool:
    """Tell whether all addresses that a name resolved to may be connected to. One bad answer spoils all: a resolver that
    mixes private addresses in is trying to be let through.

    `metadata` is True where the vault itself asks the machine's metadata service, by its address and no name.
    """
    if metadata and candidates == [METADATA_ADDRESS] and host == METADATA_ADDRESS:
        return True
    return bool(candidates) and all(is_allowed(text, allow_private) for text in candidates)
