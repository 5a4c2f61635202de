"""The demo provider in a configuration. Level 6."""

import msgspec

from switchgear.config.compile import Compiled, ProviderSpec
from switchgear.pricing.price import Price, Rate
from switchgear.providers import endpoint
from switchgear.providers.catalogue import GENERIC

DEMO_MODELS = ("echo", "slow", "stream-20-20", "stream-200-50")


def with_demo(compiled: Compiled, port: int) -> Compiled:
    """Return a configuration with the demo provider, which listens on that port."""
    place = endpoint.parse(f"http://127.0.0.1:{port}/v1", auth="none", allow_private=True)
    spec = ProviderSpec(
        name="demo",
        dialects=tuple(GENERIC),
        endpoint=place,
        pricing_id=None,
        credentials=("none",),
    )
    price = {"input": Rate(150_000_000), "output": Rate(600_000_000)}
    overrides = {f"demo/{name}": Price(name, "demo", price) for name in DEMO_MODELS}  # type: ignore[arg-type]
    return msgspec.structs.replace(
        compiled, providers=(*compiled.providers, spec), price_overrides={**overrides, **compiled.price_overrides}
    )
