"""Openai: requests."""

import pytest
from tests.dialects import golden_cases


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("openai"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)
