"""The demo provider: it goes to one port of this machine, without a secret, and costs something."""

from switchgear.app.demo_configuration import DEMO_MODELS, with_demo
from switchgear.config.compile import Compiled
from switchgear.pricing.price import Price


def test_the_demo_provider_is_on_this_machine_and_takes_no_secret():
    spec = with_demo(Compiled(), 4711).providers[-1]
    assert spec.name == "demo" and spec.endpoint.url == "http://127.0.0.1:4711/v1"
    assert spec.endpoint.auth == "none" and spec.credentials == ("none",)


def test_each_model_has_a_price_and_a_price_of_the_file_wins():
    own = Price("echo", "override", {})
    compiled = with_demo(Compiled(price_overrides={"demo/echo": own}), 1)
    assert compiled.price_overrides.keys() == {f"demo/{name}" for name in DEMO_MODELS}
    assert compiled.price_overrides["demo/echo"] is own
