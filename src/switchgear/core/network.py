"""Networks as people write them, in CIDR notation. Level 0."""

import ipaddress
from collections.abc import Iterable, Iterator

from switchgear.core.text import shown


def both(one: list[str], other: list[str]) -> list[str]:
    """Return the networks of what lies in two lists: of two networks one holds the other, or they share nothing. What is no network
    holds nothing.

    >>> both(["10.0.0.0/8", "::/0"], ["10.1.0.0/16", "192.168.0.0/16"])
    ['10.1.0.0/16']
    """
    found: dict[str, None] = {}
    for mine in _networks(one):
        for its in _networks(other):
            if mine.version == its.version and mine.overlaps(its):
                found[str(mine if mine.prefixlen > its.prefixlen else its)] = None
    return list(found)


def _networks(texts: Iterable[str]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for text in texts:
        if check_network(text) is None:
            yield ipaddress.ip_network(text)


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
