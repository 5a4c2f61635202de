"""Quirks are data that encoders read."""

from switchgear.dialects import canonical
from switchgear.dialects.openai import requests
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks


def body(quirks, **fields):
    request = canonical.Request(model="m", messages=[canonical.Message("user", [canonical.Text("x")])], **fields)
    return requests.encode_request(request, "m", quirks), request.dropped


def test_the_limits_name_differs():
    assert "max_completion_tokens" in body(PROVIDERS["openai"].quirks, max_tokens=5)[0]
    assert "max_tokens" in body(Quirks(), max_tokens=5)[0]


def test_a_member_that_a_provider_refuses_is_left_out_and_listed():
    sent, dropped = body(
        Quirks(drop=("seed",), reasoning_effort=False), seed=1, reasoning=canonical.Reasoning("low"), top_k=3
    )
    assert "seed" not in sent and "reasoning_effort" not in sent
    assert set(dropped) == {"seed", "reasoning", "top_k"}
    assert body(Quirks(top_k=True), top_k=3)[0]["top_k"] == 3
    assert "stream_options" not in body(Quirks(stream_usage=False), stream=True)[0]
