"""Where the platform's own identity may be shown: hosts of the cloud that gave it. Level 1.

A keyless credential holds no secret, so sealing it proves nothing: whoever could seal one for a place of his own would be sent
the machine's token there. So both places of such a credential, where tokens are traded and where they are used, must be the
provider's own, by this list, or named by whoever starts the gateway (`serve --identity-host`). Names under which a customer of
the cloud can run a program of his own (API gateways, load balancers, functions, machine-learning endpoints) are not listed.

Looked up on 2026-11-26: AWS's zones in the partitions of its SDKs (`dnsSuffix`, `dualStackDnsSuffix`), its endpoints in "Amazon
Bedrock endpoints and quotas", "Endpoints supported by Amazon Bedrock" and "Use interface VPC endpoints …"; Google's regional names
in "Vertex AI locations" and "Best practices for using Workload Identity Federation"; `<region>.login.microsoft.com` in Microsoft's
"API Management" network reference. The other names of Azure and Entra are those that public clients accept. What is missing
here is named with `serve --identity-host`.
"""

import re
from urllib.parse import urlsplit

import msgspec

from switchgear.providers.endpoint import Endpoint


class Platform(msgspec.Struct, frozen=True):
    """The hosts of one cloud."""

    uses: str
    """Pattern of the hosts that take its tokens."""
    gives: str
    """Pattern of the hosts that give them."""


_METADATA = r"169\.254\.169\.254"
_AWS_ZONE = r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu))"
_BEDROCK = (
    rf"bedrock(?:-runtime|-agent-runtime|-mantle)?(?:-fips)?\.[a-z0-9-]+\.{_AWS_ZONE}"
    rf"|vpce-[a-z0-9-]+\.bedrock(?:-runtime|-agent-runtime|-mantle)?\.[a-z0-9-]+\.vpce\.{_AWS_ZONE}"
)
_STS = rf"sts(?:-fips)?(?:\.[a-z0-9-]+)?\.{_AWS_ZONE}|vpce-[a-z0-9-]+\.sts\.[a-z0-9-]+\.vpce\.{_AWS_ZONE}"
_VERTEX = (
    r"(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com|aiplatform\.[a-z0-9-]+\.rep\.googleapis\.com"
    r"|generativelanguage\.googleapis\.com"
)
_GOOGLE_TOKENS = r"sts\.googleapis\.com|sts\.[a-z0-9-]+\.rep\.googleapis\.com|iamcredentials\.googleapis\.com"
_AZURE_AI = (
    r"[a-z0-9-]+\.(?:openai|cognitiveservices)\.azure\.(?:com|us|cn)|[a-z0-9-]+\.services\.ai\.azure\.(?:com|us)"
    r"|[a-z0-9.-]+\.models\.ai\.azure\.com"
)
_ENTRA = (
    r"login\.microsoftonline\.(?:com|us)|login\.partner\.microsoftonline\.cn|login\.chinacloudapi\.cn"
    r"|(?:[a-z0-9-]+\.)?login\.microsoft\.com"
)
PLATFORMS: dict[str, Platform] = {
    "instance_role": Platform(_BEDROCK, _METADATA),
    "web_identity": Platform(_BEDROCK, _STS),
    "workload_identity": Platform(_VERTEX, _GOOGLE_TOKENS),
    "entra_federated": Platform(_AZURE_AI, _ENTRA),
    "managed_identity": Platform(_AZURE_AI, _METADATA),
}
_URLS = ("token_url", "impersonation_url")


def foreign_host(place: Endpoint, trusted: frozenset[str]) -> str | None:
    """Return a host to which this place would show the platform's identity and that is neither the cloud's own nor `trusted`;
    None when there is none."""
    platform = PLATFORMS.get(place.auth)
    if platform is None:
        return None
    if place.host not in trusted and not re.fullmatch(platform.uses, place.host):
        return place.host
    for name, value in place.auth_parameters:
        if name in _URLS:
            host = (urlsplit(value).hostname or "").rstrip(".").lower()
            if host not in trusted and not re.fullmatch(platform.gives, host):
                return host or value
    return None
