"""Bedrock: requests."""

import pytest
from tests.dialects import golden_cases

from switchgear.dialects import hub
from switchgear.dialects.bedrock import requests
from switchgear.dialects.shape import InvalidBodyError
from switchgear.providers.quirks import Quirks


def test_names_of_documents_are_made_what_bedrock_allows():
    part = hub.Media("file", "application/pdf", "JVBERi0=", name="a_b/c.pdf")
    body = requests.encode_request(hub.Request(model="m", messages=[hub.Message("user", [part])]), "nova", Quirks())
    assert body["messages"][0]["content"][0]["document"]["name"] == "a b c pdf"


def test_unknown_files_are_refused():
    part = hub.Media("file", "application/x-thing", "AAAA")
    with pytest.raises(InvalidBodyError, match="x-thing"):
        requests.encode_request(hub.Request(model="m", messages=[hub.Message("user", [part])]), "nova", Quirks())


def test_what_only_claude_knows_is_dropped_for_others():
    request = hub.Request(model="m", messages=[], top_k=5, reasoning=hub.Reasoning("low"))
    requests.encode_request(request, "us.amazon.nova-lite-v1:0", Quirks())
    assert {"top_k", "reasoning"} <= set(request.dropped)


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("bedrock"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)
