"""Networks as people write them, in CIDR notation. Level 0."""

import ipaddress
from collections.abc import Iterable

from switchgear.core.text import shown

NETWORKS_MAX = 1_000
"""In one list: each is looked at for a request from a new connection."""
_Network = tuple[int, int, int]
"""Version, address without the bits of hosts, and length of the prefix."""
_BITS = {4: 32, 6: 128}


def both(one: list[str], other: list[str]) -> list[str]:
    """Return the networks of what lies in two lists: of two networks one holds the other, or they share nothing. What is no network
    holds nothing. Each list is read once, and each network looked up by its prefixes: 1,000 and 1,000 take milliseconds.

    >>> both(["10.0.0.0/8", "::/0"], ["10.1.0.0/16", "192.168.0.0/16"])
    ['10.1.0.0/16']
    """
    mine, its = _read(one), _read(other)
    held = {text: None for network, text in mine.items() if _is_held(network, its)}
    return list(held | {text: None for network, text in its.items() if _is_held(network, mine)})


def _read(texts: Iterable[str]) -> dict[_Network, str]:
    found: dict[_Network, str] = {}
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            continue
        found[network.version, int(network.network_address), network.prefixlen] = str(network)
    return found


def _is_held(network: _Network, by: dict[_Network, str]) -> bool:
    """Tell whether a network is, or lies in, one of others."""
    version, address, length = network
    bits = _BITS[version]
    return any((version, address >> bits - size << bits - size, size) in by for size in range(length, -1, -1))


def check_network(text: str) -> str | None:
    """Return what is wrong with a network, with what is probably meant, or None."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            hint = f"; write {ipaddress.ip_network(text, strict=False)}"
        except ValueError:
            hint = ", e.g. 10.0.0.0/8 or 2001:db8::/32"
        return f"{shown(text)} is not a network{hint}"
    return None
