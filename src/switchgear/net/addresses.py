"""Which addresses an upstream may have. Level 2 (SSRF: resolve once, check every answer, connect to that answer).

`is_global` alone is not enough: NAT64, 6to4 and mapped forms carry private IPv4 addresses inside public-looking ones.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_ADDRESS = "169.254.169.254"
"""Where EC2 and Azure machines ask who they are. Reached by the vault's own questions for tokens only."""
_METADATA = {
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "100.100.100.200",
    )
}
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
        "fec0::/10",
    )
]


def is_allowed(text: str, allow_private: bool) -> bool:
    """Tell whether an upstream may live at an address.

    Cloud metadata services, multicast and the unspecified address are never allowed; loopback and private ranges only
    where the credential was sealed with `allow_private`.
    """
    try:
        address: Address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address in _METADATA or address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if allow_private:
        return True
    return address.is_global and not any(address.version == net.version and address in net for net in _DENIED)


def are_allowed(candidates: list[str], host: str, allow_private: bool, metadata: bool = False) -> bool:
    """Tell whether all addresses that a name resolved to may be connected to. One bad answer spoils all: a resolver that
    mixes private addresses in is trying to be let through.

    `metadata` is True where the vault itself asks the machine's metadata service, by its address and no name.
    """
    if metadata and candidates == [METADATA_ADDRESS] and host == METADATA_ADDRESS:
        return True
    return bool(candidates) and all(is_allowed(text, allow_private) for text in candidates)
