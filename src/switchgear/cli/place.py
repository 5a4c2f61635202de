"""Where a secret is about to be sealed for. Level 7.

Control names the configured providers, and code in control must not learn a secret by naming another place. A name of the
catalogue is sealed for the catalogue's endpoint, which this program knows itself; anything else is shown, and a person (or
`--endpoint`) says that it is right.
"""

import sys
from typing import TYPE_CHECKING, Any

import click

from switchgear.cli.base import cleaned, confirm, note
from switchgear.core.errors import UserError

if TYPE_CHECKING:
    from switchgear.config.compile import ProviderSpec
    from switchgear.providers.endpoint import Endpoint

option = click.option(
    "--endpoint", metavar="URL", help="Where the secret will be sent, for a provider that the catalogue does not know."
)


def check(spec: "ProviderSpec", name: str, endpoint: str | None, yes: bool) -> None:
    """Make sure that the place of a credential is the one that is meant. Raises UserError."""
    from switchgear.cli.provider import build  # noqa: PLC0415
    from switchgear.config import schema  # noqa: PLC0415
    from switchgear.providers.catalogue import PROVIDERS  # noqa: PLC0415
    from switchgear.providers.endpoint import parse  # noqa: PLC0415

    place = spec.place(name)
    known: Endpoint | None = None
    try:
        parse(place.url, auth=place.auth, allow_private=place.allow_private, query=place.query)
    except ValueError as exc:
        raise UserError(
            f"the gateway's {spec.name} is at no address: {cleaned(str(exc))}", "nothing was sealed"
        ) from None
    if endpoint is not None and endpoint.rstrip("/") != place.url:
        there = f"the gateway's {spec.name} is at {cleaned(place.url)}, not at {cleaned(endpoint)}"
        raise UserError(there, "nothing was sealed", 2)
    if spec.name in PROVIDERS:
        try:
            known = build(spec.name, schema.Provider()).place(name)
        except UserError:
            known = None  # its address has parts of your own in it
        if known == place:
            return
    said = describe(place)
    if endpoint is not None and len(said) == 1:
        return
    text = f"the secret of {spec.name} would go to " + ", ".join(said)
    # Of a name that this program knows, control's word alone is never enough: a script with --yes would hand the secret over.
    if yes and (known is None or endpoint is not None):
        note(text.replace("would go", "goes"))
        return
    if not sys.stdin.isatty():
        raise UserError(
            text, f"if that is right: --endpoint {cleaned(place.url)}" + (" --yes" if len(said) > 1 else ""), 2
        )
    confirm(f"{text[0].upper()}{text[1:]}. Is that right?", False)


def describe(place: "Endpoint") -> list[str]:
    """Return what a place is in words: its address first, then all that widens what the secret can be used for."""
    more: list[Any] = [cleaned(place.url)]
    if place.allow_private and not place.host.startswith(("127.", "::1")):
        more.append("private addresses allowed")
    if place.passthrough:
        more.append("raw paths: " + cleaned("; ".join(place.passthrough)))
    if place.proxy:
        more.append("through the proxy " + cleaned(place.proxy))
    if place.headers:
        more.append("with the headers " + cleaned(", ".join(name for name, _ in place.headers)))
    if place.tls_trust != "system":
        more.append("trusting an authority of its own")
    urls = [f"{key} {value}" for key, value in place.auth_parameters if "://" in value]
    if urls:
        more.append("tokens from " + cleaned("; ".join(urls)))
    return more
