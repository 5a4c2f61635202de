"""What a configuration says of routing, and back."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config import routes, schema
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import When
from switchgear.routing.retry import RetryRules
from switchgear.routing.table import DeploymentEntry, ModelEntry


@given(
    st.builds(BreakerRules, failures=st.integers(1, 9), error_rate=st.integers(0, 1_000).map(lambda n: n / 1_000)),
    st.builds(RetryRules, on=st.none() | st.lists(st.sampled_from(["503", "5xx", "connect"]), min_size=1).map(tuple)),
)
def test_what_is_written_out_means_the_same(breaker, retry):
    entry = ModelEntry(
        name="m", breaker=breaker, retry=retry, require={"a": "b"}, fallback_on={"content_policy": ("x",)}
    )
    model = msgspec.convert(routes.written(entry), schema.Model)
    assert list(routes.check(model)) == []
    assert routes.breaker_of(model.breaker) == breaker
    assert routes.retry_of(model.retry) == retry
    assert (model.require, model.fallback_on) == ({"a": "b"}, {"content_policy": ["x"]})


def test_what_has_its_default_is_not_written():
    assert routes.written(ModelEntry(name="m")) == {}
    assert routes.deployment_written(DeploymentEntry(provider="p", model="m")) == {}


def test_conditions_survive_being_written_out():
    when = When(tags=("a",), tokens_max=9, needs=("tools", "context"))
    found = routes.deployment_written(
        DeploymentEntry(provider="p", model="m", weight=2.5, labels={"r": "eu"}, when=when, canary=0.125)
    )
    deployment = msgspec.convert({"provider": "p", "model": "m", **found}, schema.Deployment)
    assert routes.when_of(deployment.when) == when and deployment.weight == 2.5 and deployment.labels == {"r": "eu"}
    assert found["canary"] == "12.5%" and routes.percent_of(deployment.canary) == 0.125


def test_a_canary_is_a_share_of_a_tier_that_has_others():
    def wrong(*deployments):
        said = [{"provider": "p", "model": "m", **one} for one in deployments]
        model = msgspec.convert({"deployments": said}, schema.Model)
        return [f"{path}: {message}" for path, message in routes.check(model)]

    assert wrong({}, {"canary": "5%"}) == []
    assert "percentage" in wrong({}, {"canary": "5"})[0]
    assert "no other deployment" in wrong({}, {"canary": "5%", "tier": 2})[0]
    assert "more than 100%" in wrong({}, {"canary": "60%"}, {"canary": "41%"})[0]
