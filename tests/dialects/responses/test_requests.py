"""Responses: requests."""

import pytest
from tests.dialects import golden_cases

from switchgear.dialects.responses import requests
from switchgear.dialects.shape import InvalidBodyError, Node


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "background"])
def test_state_of_another_provider_cannot_be_carried(key):
    with pytest.raises(InvalidBodyError) as info:
        requests.decode_request(Node({"input": "x", key: "resp_1"}), "m", False)
    assert info.value.param == key


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("responses"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)
